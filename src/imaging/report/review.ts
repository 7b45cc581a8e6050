import { z } from 'zod';
import { AppError, type FieldError } from '../../kernel/errors.js';
import { isDicomUidAsFound } from '../../kernel/uid.js';
import { codeSchema, REJECTION_REASONS, type Finding, type FindingReview, type Label, type ReviewAgreement, type Segment } from './finding.js';

/** A finding that is moved further is another one. */
export const FURTHEST_MOVE_MM = 50;
/** Nothing in a patient lies further from the origin of their Frame of Reference. */
const FURTHEST_MM = 5_000;
/** Findings that a result may have, those of people counted. */
export const MOST_FINDINGS = 1_000;

const name = z.string().regex(/^[A-Za-z][A-Za-z0-9 _-]{0,63}$/, 'must begin with a letter, then letters, digits, spaces, _ and -');
const word = z.string().min(1).max(64);
const coordinate = z.number().min(-FURTHEST_MM).max(FURTHEST_MM);
const point = z.tuple([coordinate, coordinate, coordinate]).meta({ items: { type: 'number' }, minItems: 3, maxItems: 3 });
const uid = z.string().max(64).refine(isDicomUidAsFound, 'must be a DICOM UID');
const code = z.strictObject({ system: word, value: word, meaning: z.string().min(1).max(200) });
const comment = z.string().min(1).max(2_000).optional().meta({ description: 'In words; kept encrypted, shown with the reviews of the result' });

export const editedMeasurements = z.array(z.strictObject({ name, value: z.number().min(-1e9).max(1e9), unit: z.string().min(1).max(16) })).min(1).max(50);
export const editedAttributes = z.array(z.strictObject({ name, value: word, concept: code.optional(), code: code.optional() })).min(1).max(50);
export const editedLocation = z
  .strictObject({
    frameOfReferenceUid: uid.optional(), center: point.optional(),
    box: z.tuple([point, point]).meta({ items: { type: 'array', items: { type: 'number' } }, minItems: 2, maxItems: 2 }).optional(),
    sopInstanceUid: uid, frame: z.number().int().min(1).max(1_000_000),
  })
  .meta({ id: 'ReviewedLocation' });

const findingId = z.uuid().meta({ description: 'Id of a finding of the result' });
const agrees = z.boolean();

/** What a person decides about a part of a result. Each replaces what was decided about it before. */
export const decisionSchema = z
  .discriminatedUnion('decision', [
    z.strictObject({ decision: z.literal('accept'), finding: findingId, comment }).meta({ id: 'AcceptFinding', description: 'It stands as the model made it' }),
    z.strictObject({ decision: z.literal('reject'), finding: findingId, reason: z.enum(REJECTION_REASONS), comment }).meta({ id: 'RejectFinding', description: 'It does not stand' }),
    z.strictObject({ decision: z.literal('edit'), finding: findingId, measurements: editedMeasurements.optional(), attributes: editedAttributes.optional(), location: editedLocation.optional(), comment })
      .meta({ id: 'EditFinding', description: 'Measurements and attributes are replaced by their names, the location as a whole' }),
    z.strictObject({
      decision: z.literal('add'), kind: name, code, location: editedLocation.optional(), measurements: editedMeasurements.optional(), attributes: editedAttributes.optional(), comment,
    }).meta({ id: 'AddFinding', description: 'What the model missed' }),
    z.strictObject({ decision: z.literal('label'), label: z.string().min(1).max(100), agrees, comment }).meta({ id: 'JudgeLabel', description: 'Whether it is positive or not, as the model says' }),
    z.strictObject({ decision: z.literal('segment'), segment: z.number().int().min(1), agrees, comment }).meta({ id: 'JudgeSegment' }),
  ])
  .meta({ id: 'ReviewDecision' });
export type Decision = z.infer<typeof decisionSchema>;

/** What is reviewed: of the model, or as it stands. */
export interface ReviewedContent {
  findings: readonly Finding[];
  labels: readonly Label[];
  segments: readonly Segment[];
}

/** Who decides, when, and which version of the result it makes. */
export interface Deciding {
  by: string;
  at: string;
  version: number;
}

/** Looks up what an added or moved finding points to: how many frames an instance of the study has; undefined for one that it has not. */
export type FramesOf = (sopInstanceUid: string) => number | undefined;

/**
 * What stands after some decisions.
 *
 * @param original  as the model made it
 * @param current  as it stood before
 * @param newId  of findings that are added
 * @throws AppError `invalid-body`, whose pointers begin at `/decisions`
 */
export function decide(original: ReviewedContent, current: ReviewedContent, decisions: readonly Decision[], deciding: Deciding, { framesOf, newId }: { framesOf: FramesOf; newId: () => string }): ReviewedContent {
  const faults = decisions.flatMap((decision, index) => faultsOf(decision, original, current, framesOf).map(({ pointer, detail }) => ({ pointer: `/decisions/${String(index)}${pointer}`, detail })));
  const twice = repeated(decisions);
  if (twice !== undefined) faults.push({ pointer: `/decisions/${String(twice)}`, detail: 'is the second decision about the same' });
  if (current.findings.length + decisions.filter(({ decision }) => decision === 'add').length > MOST_FINDINGS) faults.push({ pointer: '/decisions', detail: `would make more than ${String(MOST_FINDINGS)} findings` });
  if (faults.length > 0) throw new AppError('invalid-body', { errors: faults });
  const all = [...decisions, ...following(current, decisions)];
  return {
    findings: [...current.findings.map((finding) => decidedFinding(original, finding, all, deciding)), ...all.flatMap((decision) => (decision.decision === 'add' ? [addedFinding(decision, deciding, newId())] : []))],
    labels: current.labels.map((label) => {
      const decision = all.find((one) => one.decision === 'label' && one.label === label.name);
      const model = original.labels.find((one) => one.name === label.name) ?? label;
      return decision?.decision === 'label' ? { ...label, positive: decision.agrees === model.positive, review: agreement(decision.agrees, deciding) } : label;
    }),
    segments: current.segments.map((segment) => {
      const decision = all.find((one) => one.decision === 'segment' && one.segment === segment.number);
      return decision?.decision === 'segment' ? { ...segment, review: agreement(decision.agrees, deciding) } : segment;
    }),
  };
}

/** Whoever signs lets stand what nobody has decided about. */
export function letStand({ findings, labels, segments }: ReviewedContent, deciding: Deciding): ReviewedContent {
  const bySignOff = { ...deciding, bySignOff: true } as const;
  return {
    findings: findings.map((finding) => ({ ...finding, review: finding.review ?? { state: 'accepted' as const, ...bySignOff } })),
    labels: labels.map((label) => ({ ...label, review: label.review ?? { state: 'agreed' as const, ...bySignOff } })),
    segments: segments.map((segment) => ({ ...segment, review: segment.review ?? { state: 'agreed' as const, ...bySignOff } })),
  };
}

/** What somebody made of what the model found, in one word. */
export const REVIEW_OUTCOMES = ['agreed', 'corrected', 'rejected'] as const;
export type ReviewOutcome = (typeof REVIEW_OUTCOMES)[number];

/**
 * What one version of a result says to what the model found: `agreed` when it lets stand all that it decides about, `rejected` when it lets nothing of that stand, else `corrected`.
 *
 * @param original  as the model made it; a finding that a person added and takes back says nothing of it
 * @param version  that was made by deciding; parts that were decided about before do not count
 * @returns undefined when it decides about nothing
 */
export function outcomeOf(original: ReviewedContent, { findings, labels, segments }: ReviewedContent, version: number): ReviewOutcome | undefined {
  const told = findings.filter(({ id, review }) => review?.state !== 'rejected' || original.findings.some((one) => one.id === id));
  const states = [...told, ...labels, ...segments].flatMap(({ review }) => (review?.version === version ? [review.state] : []));
  if (states.length === 0) return undefined;
  if (states.every((state) => state === 'accepted' || state === 'agreed')) return 'agreed';
  return states.every((state) => state === 'rejected' || state === 'disagreed') ? 'rejected' : 'corrected';
}

/** Findings that a person has not rejected. */
export function standing(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ review }) => review?.state !== 'rejected');
}

function decidedFinding(original: ReviewedContent, finding: Finding, decisions: readonly Decision[], deciding: Deciding): Finding {
  const decision = decisions.find((one) => 'finding' in one && one.finding === finding.id);
  const model = original.findings.find(({ id }) => id === finding.id);
  const made: FindingReview['state'] = model ? 'edited' : 'added';
  switch (decision?.decision) {
    case 'accept':
      return model ? { ...model, review: { state: 'accepted', ...deciding } } : { ...finding, review: { state: 'added', ...deciding } };
    case 'reject':
      return { ...finding, review: { state: 'rejected', reason: decision.reason, ...deciding } };
    case 'edit':
      return {
        ...finding,
        measurements: merged(finding.measurements, decision.measurements ?? []),
        ...(decision.attributes && { attributes: merged(finding.attributes ?? [], decision.attributes) }),
        ...(decision.location && { location: decision.location }),
        review: { state: made, ...deciding },
      };
    default:
      return finding;
  }
}

function addedFinding({ kind, code: { system, value, meaning }, location, measurements = [], attributes }: Extract<Decision, { decision: 'add' }>, deciding: Deciding, id: string): Finding {
  return {
    id, kind, code: codeSchema.parse({ system, value, meaning }), score: 1, ...(location && { location }), measurements,
    ...(attributes && { attributes }), review: { state: 'added', ...deciding },
  };
}

function merged<Named extends { name: string }>(before: readonly Named[], changes: readonly Named[]): Named[] {
  const known = before.map((one) => changes.find((change) => change.name === one.name) ?? one);
  return [...known, ...changes.filter((change) => !before.some((one) => one.name === change.name))];
}

function agreement(agreed: boolean, deciding: Deciding): ReviewAgreement {
  return { state: agreed ? 'agreed' : 'disagreed', ...deciding };
}

/** A finding of a classification and its label are one thing: who decides about the one, decides about the other. */
function following(current: ReviewedContent, decisions: readonly Decision[]): Decision[] {
  const pairs = current.findings.filter(({ kind }) => kind === 'label').flatMap((finding) => {
    const label = current.labels.find(({ code: own }) => own?.value === finding.code.value);
    return label ? [{ finding, label }] : [];
  });
  return pairs.flatMap(({ finding, label }): Decision[] => {
    const ofFinding = decisions.find((one) => 'finding' in one && one.finding === finding.id);
    const ofLabel = decisions.find((one) => one.decision === 'label' && one.label === label.name);
    if (ofLabel?.decision === 'label' && !ofFinding) return [ofLabel.agrees ? { decision: 'accept', finding: finding.id } : { decision: 'reject', finding: finding.id, reason: 'not-present' }];
    if (!ofLabel && (ofFinding?.decision === 'accept' || ofFinding?.decision === 'reject')) return [{ decision: 'label', label: label.name, agrees: ofFinding.decision === 'accept' }];
    return [];
  });
}

/** The index of the first decision about what another one before is about. */
function repeated(decisions: readonly Decision[]): number | undefined {
  const seen = new Set<string>();
  for (const [index, decision] of decisions.entries()) {
    const subject = 'finding' in decision ? decision.finding : 'label' in decision ? `label ${decision.label}` : 'segment' in decision ? `segment ${String(decision.segment)}` : undefined;
    if (subject === undefined) continue;
    if (seen.has(subject)) return index;
    seen.add(subject);
  }
  return undefined;
}

function faultsOf(decision: Decision, original: ReviewedContent, current: ReviewedContent, framesOf: FramesOf): FieldError[] {
  switch (decision.decision) {
    case 'label':
      return current.labels.some(({ name: own }) => own === decision.label) ? [] : [{ pointer: '/label', detail: 'is no label of the result' }];
    case 'segment':
      return current.segments.some(({ number }) => number === decision.segment) ? [] : [{ pointer: '/segment', detail: 'is no segment of the result' }];
    case 'add':
      return [...measurementFaults(decision.measurements ?? [], []), ...attributeFaults(decision.attributes ?? []), ...locationFaults(decision.location, undefined, framesOf)];
    default: {
      const finding = current.findings.find(({ id }) => id === decision.finding);
      if (!finding) return [{ pointer: '/finding', detail: 'is no finding of the result' }];
      if (decision.decision === 'reject' && decision.reason === 'other' && decision.comment === undefined) return [{ pointer: '/comment', detail: 'must say why when the reason is `other`' }];
      if (decision.decision !== 'edit') return [];
      if (!decision.measurements && !decision.attributes && !decision.location) return [{ pointer: '', detail: 'changes nothing: name measurements, attributes or a location' }];
      const model = original.findings.find(({ id }) => id === decision.finding);
      return [...measurementFaults(decision.measurements ?? [], finding.measurements), ...attributeFaults(decision.attributes ?? []), ...locationFaults(decision.location, model?.location, framesOf)];
    }
  }
}

/** Sizes are not negative, and a unit stays what it is. */
function measurementFaults(changes: readonly Finding['measurements'][number][], before: Finding['measurements']): FieldError[] {
  return changes.flatMap(({ name: own, value, unit }, index) => {
    const known = before.find((one) => one.name === own);
    const pointer = `/measurements/${String(index)}`;
    if (changes.findIndex((one) => one.name === own) < index) return [{ pointer: `${pointer}/name`, detail: 'is there twice' }];
    if (known && known.unit !== unit) return [{ pointer: `${pointer}/unit`, detail: `must be ${known.unit}, as the model measures it` }];
    return /^(mm[23]?|cm[23]?|m[lL])$/.test(unit) && value < 0 ? [{ pointer: `${pointer}/value`, detail: 'is a size, which is not negative' }] : [];
  });
}

function attributeFaults(changes: readonly { name: string }[]): FieldError[] {
  return changes.flatMap(({ name: own }, index) => (changes.findIndex((one) => one.name === own) < index ? [{ pointer: `/attributes/${String(index)}/name`, detail: 'is there twice' }] : []));
}

function locationFaults(location: z.infer<typeof editedLocation> | undefined, model: Finding['location'], framesOf: FramesOf): FieldError[] {
  if (!location) return [];
  const faults: FieldError[] = [];
  const frames = framesOf(location.sopInstanceUid);
  if (frames === undefined) faults.push({ pointer: '/location/sopInstanceUid', detail: 'is no instance of the study' });
  else if (location.frame > frames) faults.push({ pointer: '/location/frame', detail: `is beyond the ${String(frames)} frames of the instance` });
  if (location.box?.[0].some((low, axis) => low > (location.box?.[1][axis] ?? low))) faults.push({ pointer: '/location/box', detail: 'must have its lower corner first' });
  if ((location.center || location.box) && location.frameOfReferenceUid === undefined) faults.push({ pointer: '/location/frameOfReferenceUid', detail: 'must say what the coordinates are relative to' });
  if (model?.frameOfReferenceUid !== undefined && location.frameOfReferenceUid !== undefined && model.frameOfReferenceUid !== location.frameOfReferenceUid) faults.push({ pointer: '/location/frameOfReferenceUid', detail: 'must be that of the finding' });
  if (model?.center && location.center && Math.hypot(...model.center.map((value, axis) => value - (location.center?.[axis] ?? 0))) > FURTHEST_MOVE_MM) {
    faults.push({ pointer: '/location/center', detail: `lies more than ${String(FURTHEST_MOVE_MM)} mm from where the model found it: reject that one and add another` });
  }
  return faults;
}
