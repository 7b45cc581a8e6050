import { number, numbers, sequence, strings, text } from '../../dicom/attributes.js';
import type { DicomJson } from '../../dicom/dicom-json.js';

export type MrRole = 't1' | 't1c' | 't2' | 'flair';

/** What a series is, and why; sentences without what people wrote, which may name a patient. */
export type SequenceVerdict = { kind: 'role'; role: MrRole; score: number; reason: string } | { kind: 'other'; reason: string };

type Family = 't1' | 't2' | 'flair';

export const ROLE_NAMES: Readonly<Record<MrRole, string>> = { t1: 'T1 without contrast agent', t1c: 'T1 with contrast agent', t2: 'T2', flair: 'FLAIR' };
const FAMILY_NAMES: Readonly<Record<Family, string>> = { t1: 'T1', t2: 'T2', flair: 'FLAIR' };

/** Series that are no anatomical weighting, or were made from others. */
const OTHERS: readonly (readonly [RegExp, string])[] = [
  [/locali[sz]er|scout|survey|3.?plane|smartbrain|定位/, 'It is a localizer.'],
  [/dwi|dti|diff(?!erence)|(?<![a-z])e?adc(?![a-z])|trace|tensor|(?<![a-z])[ac]?fa(?![a-z])|(?<![a-z])b\s?=?\s?1000|弥散|扩散/, 'It is a diffusion image.'],
  [/perf|(?<![a-z])(pwi|asl|dsc|dce|rcbv|cbf|cbv|mtt|ttp)(?![a-z])|灌注/, 'It is a perfusion image.'],
  [/(?<![a-z])(swi|swan|swip|venbold|mip|minip|pha?se?)(?![a-z])|t2\s*(\*|star)|t2[_ -]star|haemo|hemo|磁敏感/, 'It is an image of susceptibility or phase.'],
  [/(?<![a-z])(mra|mrv|tof|pca?|inhance)(?![a-z])|angio|血管/, 'It is an angiogram.'],
  [/spectro|(?<![a-z])(mrs|csi|svs)(?![a-z])|波谱/, 'It is a spectrum.'],
  [/(?<![a-z])(bold|fmri|resting|field.?map|b0.?map)(?![a-z])/, 'It is a functional image or a map of the field.'],
  [/subtract|(?<![a-z])sub(?![a-z])|减影/, 'It was subtracted from others.'],
  [/(?<![a-z])(pd|pdw|proton)(?![a-z0-9])|质子/, 'It is weighted by proton density.'],
  [/(?<![a-z])stir(?![a-z])/, 'It is a STIR.'],
];
const OTHER_IMAGE_TYPES: Readonly<Record<string, string>> = {
  ADC: 'It is a diffusion image.', FA: 'It is a diffusion image.', TRACEW: 'It is a diffusion image.', DIFFUSION: 'It is a diffusion image.', PERFUSION: 'It is a perfusion image.',
  'PERFUSION MAP': 'It is a perfusion image.', P: 'It is an image of susceptibility or phase.', PHASE: 'It is an image of susceptibility or phase.', 'PHASE MAP': 'It is an image of susceptibility or phase.',
  MIN_IP: 'It is a projection.', MINIP: 'It is a projection.', 'MIN IP': 'It is a projection.', 'PROJECTION IMAGE': 'It is a projection.', MAX_IP: 'It is a projection.', SUB: 'It was subtracted from others.',
  LOCALIZER: 'It is a localizer.', SUBTRACTION: 'It was subtracted from others.', SPECTROSCOPY: 'It is a spectrum.',
};

const FLAIR_WORDS = /flair|dark.?fluid|t2f(?![a-z])|(?<![a-z])fla(?![a-z])|压水|抑水|水抑制|黑水/;
const T1_WORDS = /t1(?!\d)|mp.?rage|spgr|bravo|tfl3d|(?<![a-z])(vibe|fspgr)(?![a-z])/;
const T2_WORDS = /t2(?!\d)/;
/** Whole examinations are called so: they say nothing of a series. */
const BOTH_WORDS = /with\s*(and|&)\s*without|without\s*(and|&)\s*with|w\s*(&|and|\/|\+)?\s*w\/?o|平扫\s*(\+|及|和|加|与)\s*增强/;
const PLAIN_WORDS = /(?<![a-z])(pre|precontrast|without|w\/?o|plain|nativ\w*|unenhanced)(?![a-z])|non?[- _]?(contrast|enhanced|c(?![a-z]))|t1n(?![a-z])|(?<![a-z])-c(?![a-z])|平扫|增强前/;
const ENHANCED_WORDS = /\+\s*(c|gd|k)(?![a-z])|(?<![a-z])c\+|t1w?i?[-_ ]?(c|ce|gd|km)(?![a-z])|(?<![a-z])(ce|gd|gad|gado\w*|km|mdc|contrast|enhanced)(?![a-z])|(?<![a-z])post(?!erior|[- _]?proc|[- _]?op)|增强|强化|造影/;

/** Milliseconds of the timing that parts the weightings at 1.5 and 3 T. @see Bushberg, The Essential Physics of Medical Imaging, chapter 12 */
const TIMING = { t1MaxRepetition: 1200, t1MaxEcho: 35, t2MinRepetition: 2000, t2MinEcho: 60, flairMinInversion: 1500, flairMinRepetition: 4000, shortInversion: 300 };

interface Evidence {
  family: Family;
  points: number;
  because: string;
}

/**
 * Which weighting a series has: by its name in English or Chinese, the contrast that the scanner recorded, and its timing, added up; and whether
 * contrast agent was given.
 *
 * @param attributes  of one frame: for enhanced objects with the functional groups laid over (`frameAttributes`)
 * @see PS3.3 C.8.3.1 (MR Image), C.8.13 (Enhanced MR Image)
 */
export function classifySequence(attributes: DicomJson): SequenceVerdict {
  const description = words(attributes, 'SeriesDescription');
  const protocol = words(attributes, 'ProtocolName');
  const other = otherwise(attributes, description === '' ? protocol : description);
  if (other !== undefined) return { kind: 'other', reason: other };
  const evidence = [...byName(description, 6, 'its description'), ...byName(protocol, 3, 'its protocol'), ...byName(`${words(attributes, 'SequenceName')} ${words(attributes, 'PulseSequenceName')}`, 2, 'its pulse sequence'), ...byRecord(attributes), ...byTiming(attributes)];
  const totals = (['t1', 't2', 'flair'] as const).map((family) => ({ family, total: evidence.filter((entry) => entry.family === family).reduce((sum, { points }) => sum + points, 0) })).sort((a, b) => b.total - a.total);
  const [best, second] = totals;
  if (best === undefined || best.total === 0) return { kind: 'other', reason: 'Nothing says which weighting it has.' };
  if (second?.total === best.total) return { kind: 'other', reason: `As much speaks for ${FAMILY_NAMES[best.family]} as for ${FAMILY_NAMES[second.family]}.` };
  const because = evidence.filter(({ family }) => family === best.family).map(({ because: why }) => why);
  const agent = contrastAgent(attributes, description, protocol);
  const role: MrRole = best.family === 't1' && agent.given ? 't1c' : best.family;
  // T2 and FLAIR after contrast agent are read, those before it are preferred.
  const score = best.total - (second?.total ?? 0) / 2 + (best.family === 't1' ? Math.abs(agent.points) / 2 : agent.given ? -1 : 0);
  const told = best.family === 't1' || agent.given ? [...because, ...agent.because] : because;
  return { kind: 'role', role, score, reason: `${ROLE_NAMES[role]}: ${told.join(', ')}.` };
}

function words(attributes: DicomJson, keyword: string): string {
  return strings(attributes, keyword).join(' ').normalize('NFKC').toLowerCase();
}

function otherwise(attributes: DicomJson, name: string): string | undefined {
  for (const type of [...strings(attributes, 'ImageType'), ...strings(attributes, 'FrameType')].slice(2)) {
    const reason = OTHER_IMAGE_TYPES[type.trim().toUpperCase()];
    if (reason !== undefined) return reason;
  }
  const named = OTHERS.find(([pattern]) => pattern.test(name));
  if (named !== undefined) return named[1];
  const acquired = text(attributes, 'AcquisitionContrast')?.toUpperCase();
  if (acquired === 'DIFFUSION' || acquired === 'PERFUSION' || acquired === 'TOF' || acquired === 'FLOW_ENCODED' || acquired === 'PROTON_DENSITY' || acquired === 'STIR' || acquired === 'T2_STAR') return `The scanner recorded it as ${acquired.toLowerCase().replaceAll('_', ' ')}.`;
  if (strings(attributes, 'ScanningSequence').includes('EP') && !T1_WORDS.test(name) && !T2_WORDS.test(name) && !FLAIR_WORDS.test(name)) return 'It is echo planar, as diffusion, perfusion and functional images are.';
  return undefined;
}

function byName(name: string, points: number, where: string): Evidence[] {
  const t1 = T1_WORDS.test(name);
  // "T1 FLAIR" inverts to sharpen T1; "T2 FLAIR" is FLAIR.
  if (t1 && !T2_WORDS.test(name)) return [{ family: 't1', points, because: `${where} says T1` }];
  if (FLAIR_WORDS.test(name)) return [{ family: 'flair', points, because: `${where} says FLAIR` }];
  if (T2_WORDS.test(name) && !t1) return [{ family: 't2', points, because: `${where} says T2` }];
  return [];
}

function byRecord(attributes: DicomJson): Evidence[] {
  const acquired = text(attributes, 'AcquisitionContrast')?.toUpperCase();
  const family = acquired === 'T1' ? 't1' : acquired === 'T2' ? 't2' : acquired === 'FLUID_ATTENUATED' ? 'flair' : undefined;
  return family === undefined ? [] : [{ family, points: 6, because: `the scanner recorded the contrast ${FAMILY_NAMES[family]}` }];
}

function byTiming(attributes: DicomJson): Evidence[] {
  const repetition = number(attributes, 'RepetitionTime');
  const echo = number(attributes, 'EchoTime') ?? number(attributes, 'EffectiveEchoTime');
  if (repetition === undefined || echo === undefined) return [];
  const inversion = number(attributes, 'InversionTime') ?? numbers(attributes, 'InversionTimes')[0] ?? 0;
  const scanning = strings(attributes, 'ScanningSequence');
  const isGradient = (scanning.includes('GR') && !scanning.includes('SE')) || text(attributes, 'EchoPulseSequence') === 'GRADIENT';
  const timing = `TR ${String(Math.round(repetition))} ms, TE ${String(Math.round(echo))} ms${inversion > 0 ? `, TI ${String(Math.round(inversion))} ms` : ''}`;
  const found = (family: Family): Evidence[] => [{ family, points: 4, because: timing }];
  if (inversion >= TIMING.flairMinInversion && repetition >= TIMING.flairMinRepetition && echo >= TIMING.t2MinEcho) return found('flair');
  if (inversion > 0 && inversion < TIMING.shortInversion && !isGradient) return [];
  if (echo <= TIMING.t1MaxEcho && (repetition <= TIMING.t1MaxRepetition || inversion >= TIMING.shortInversion || (isGradient && echo < 10))) return found('t1');
  if (echo >= TIMING.t2MinEcho && repetition >= TIMING.t2MinRepetition && inversion === 0 && !isGradient) return found('t2');
  return [];
}

interface ContrastAgent {
  given: boolean;
  points: number;
  because: string[];
}

function contrastAgent(attributes: DicomJson, description: string, protocol: string): ContrastAgent {
  const because: string[] = [];
  let points = 0;
  const add = (value: number, why: string): void => {
    points += value;
    because.push(why);
  };
  const named = (name: string): 'plain' | 'enhanced' | undefined => (BOTH_WORDS.test(name) ? undefined : PLAIN_WORDS.test(name) ? 'plain' : ENHANCED_WORDS.test(name) ? 'enhanced' : undefined);
  const described = named(description);
  const planned = named(protocol);
  if (described === 'enhanced') add(6, 'its description names contrast agent');
  if (described === 'plain') add(-6, 'its description says that no contrast agent was given');
  if (planned === 'enhanced') add(3, 'its protocol names contrast agent');
  if (planned === 'plain') add(-3, 'its protocol says that no contrast agent is given');
  const agent = text(attributes, 'ContrastBolusAgent')?.trim().toUpperCase() ?? '';
  if (/^(NO|NONE|N|0|N\/A|NIL|NO CONTRAST|无|否|平扫)$/.test(agent)) add(-4, 'no contrast agent is recorded');
  else if (agent !== '' || sequence(attributes, 'ContrastBolusAgentSequence').length > 0) add(4, 'a contrast agent is recorded');
  const phase = text(attributes, 'ContrastBolusAgentPhase')?.toUpperCase();
  const administered = text(attributes, 'ContrastBolusAgentAdministered')?.toUpperCase();
  if (phase === 'PRE_CONTRAST' || administered === 'NO') add(-6, 'it was taken before contrast agent');
  else if (phase !== undefined || administered === 'YES') add(4, 'it was taken after contrast agent');
  return { given: points > 0, points, because };
}
