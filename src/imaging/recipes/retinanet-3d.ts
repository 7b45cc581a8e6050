import { AppError } from '../../kernel/errors.js';
import type { Retinanet3dManifest } from '../model/manifests/retinanet-3d.js';
import type { Session } from '../model/session.js';
import { axisView, readWindow, toVolumeIndex, type AxisView, type Conversion } from '../volume/axis-view.js';
import { blendWindows, type Plane, type WindowOutput } from '../volume/blend-windows.js';
import type { Vector3, Volume } from '../volume/volume.js';
import { planWindows } from '../volume/windows.js';
import { anchorAt, decodeBox, levelOf, type Level } from './anchors.js';
import { best, clipBox, suppress, type ScoredBox } from './box-selection.js';
import type { Detection, Detections, RecipeTools } from './recipe.js';
import { strangenessMeter } from './strangeness.js';
import { checkNames, madeUpWindow, runWindows, smallWindow, windowNetwork, type Networks, type WindowNetwork } from './window-network.js';

/**
 * Nodules as MONAI's RetinaNet finds them: resample → windows → blended heads → boxes → suppression.
 * The CT is read window by window as it is; no float copy of it is made.
 *
 * @param ct  Hounsfield units
 * @returns best first, in index coordinates of the CT
 * @throws AppError `model-load-failed`, `model-output-invalid`, `out-of-memory`
 * @see MONAI 1.6 `RetinaNetDetector`, bundle lung_nodule_ct_detection; Lin et al. 2017
 */
export async function detect(ct: Volume, manifest: Retinanet3dManifest, networks: Networks, { progress, reduced }: RecipeTools): Promise<Detections> {
  const { preprocessing, window, postprocessing } = manifest;
  const session = await networks(manifest.network.path);
  const network = networkOf(manifest, session);
  const view = axisView(ct, preprocessing.axes, preprocessing.spacingMm);
  const image = divisible(view.size, preprocessing.divisibleBy);
  const roi = (reduced ? window.reducedSize : undefined) ?? window.size;
  const whole = manifest.wholeWhenSmaller && countOf(view.size) < countOf(roi);
  const plan = planWindows(image, whole ? image : roi, window.overlap);
  const collector = collectBoxes(manifest, image);
  const convert = intensity(preprocessing.intensity);
  const meter = strangenessMeter(manifest.outOfDistribution);
  const windows = await blendWindows({
    plan,
    blending: window,
    channels: 1,
    batch: reduced || network.input.shape[0] === 1 ? 1 : window.batch,
    read: (start, into) => { readWindow(view, ct.voxels, start, plan.window, into, convert, 0); },
    run: async (data, count) => {
      const outputs = await runWindows(session, network, data, count, plan.window, meter);
      checkGrids(outputs, network, plan.window);
      return outputs;
    },
    plane: collector.take,
    progress,
  });
  const clipped = collector.levels().map((candidates) => candidates.flatMap((candidate) => {
    const box = clipBox(candidate.box, view.size);
    return box ? [{ ...candidate, box }] : [];
  }));
  const kept = suppress(clipped.flat(), postprocessing.nmsIou, postprocessing.maxDetections);
  return {
    detections: kept.map((candidate) => detectionOf(candidate, view)),
    outOfDistribution: meter.verdict(),
    details: { size: view.size, spacingMm: preprocessing.spacingMm, window: plan.window, windows, candidates: collector.seen(), selected: clipped.flat().length, positive: kept.length },
  };
}

/**
 * A first inference on a made-up window: names, channels and grids are the manifest's, and the numbers are finite.
 *
 * @throws AppError `model-load-failed`, `model-output-invalid`
 */
export async function check(manifest: Retinanet3dManifest, networks: Networks): Promise<void> {
  const session = await networks(manifest.network.path);
  const network = networkOf(manifest, session);
  checkNames(session, network);
  const size = smallWindow(session, network, manifest.window.size, manifest.preprocessing.divisibleBy);
  const outputs = await runWindows(session, network, madeUpWindow(1, size), 1, size, strangenessMeter(manifest.outOfDistribution));
  checkGrids(outputs, network, size);
}

/** Of a level, both heads have one grid, no finer than the window. @throws AppError `model-output-invalid` */
function checkGrids(outputs: readonly WindowOutput[], network: WindowNetwork, window: Vector3): void {
  const levels = network.outputs.length / 2;
  for (let i = 0; i < levels; i++) {
    const [logits, codes] = [outputs[i]?.dims.slice(2), outputs[i + levels]?.dims.slice(2)];
    const [logitsName, codesName] = [network.outputs[i]?.name, network.outputs[i + levels]?.name];
    if (logits?.join() !== codes?.join()) throw new AppError('model-output-invalid', { detail: `"${String(logitsName)}" has the grid [${String(logits)}] and "${String(codesName)}" [${String(codes)}]` });
    if (logits?.some((places, axis) => places < 1 || places > (window[axis] ?? 0))) throw new AppError('model-output-invalid', { detail: `"${String(logitsName)}" has the grid [${String(logits)}] for a window of [${String(window)}]` });
  }
}

function networkOf({ network: { input, levels, classes }, anchors: { shapes } }: Retinanet3dManifest, session: Session): WindowNetwork {
  return windowNetwork(session, input, [
    ...levels.map(({ classification }) => ({ name: classification, channels: shapes.length * classes })),
    ...levels.map(({ boxRegression }) => ({ name: boxRegression, channels: shapes.length * 6 })),
  ]);
}

interface Collector {
  take: (plane: Plane) => void;
  /** The best of each level, best first. */
  levels: () => ScoredBox[][];
  /** How many were over the threshold. */
  seen: () => number;
}

/** An anchor over the threshold whose box is still to come. */
interface Hit {
  anchor: number;
  place: Vector3;
  score: number;
  class: number;
}

/** Reads blended planes of both heads; of a level, the plane of logits comes before that of codes. */
function collectBoxes({ network: { levels, classes }, anchors: { shapes }, boxCoder, postprocessing }: Retinanet3dManifest, image: Vector3): Collector {
  const chosen = levels.map(() => best<ScoredBox>(postprocessing.topPerLevel));
  const grids = new Map<number, Level>();
  const waiting = new Map<string, Hit[]>();
  const { activation, scoreThreshold } = postprocessing;
  const activate = activation === 'sigmoid' ? sigmoid : (logit: number): number => logit;
  // Nearly all anchors lie far below; they are spared the exponential.
  const hopeless = activation === 'sigmoid' ? Math.log(scoreThreshold / (1 - scoreThreshold)) - 1e-3 : scoreThreshold;
  let seen = 0;
  const hitsOf = ({ values, size, at, channels }: Plane): Hit[] => {
    const area = size[0] * size[1];
    const hits: Hit[] = [];
    for (let cell = 0; cell < area; cell++) {
      for (let channel = 0; channel < channels; channel++) {
        const logit = values[channel * area + cell] ?? 0;
        if (logit < hopeless) continue;
        const score = activate(logit);
        if (!(score > scoreThreshold)) continue;
        hits.push({ anchor: Math.floor(channel / classes), place: [Math.floor(cell / size[1]), cell % size[1], at], score, class: channel % classes });
      }
    }
    return hits;
  };
  return {
    take(plane) {
      const level = plane.output % levels.length;
      const key = `${level}/${plane.at}`;
      if (plane.output < levels.length) {
        const hits = hitsOf(plane);
        seen += hits.length;
        if (hits.length > 0) waiting.set(key, hits);
        return;
      }
      const grid = grids.get(level) ?? levelOf(image, plane.size, shapes, levels[level]?.anchorScale ?? 1);
      grids.set(level, grid);
      const area = plane.size[0] * plane.size[1];
      for (const { anchor, place, score, class: kind } of waiting.get(key) ?? []) {
        const cell = place[0] * plane.size[1] + place[1];
        const code = Array.from({ length: 6 }, (_, i) => plane.values[(anchor * 6 + i) * area + cell] ?? 0);
        chosen[level]?.add({ box: decodeBox(code, anchorAt(grid, anchor, place), boxCoder), score, class: kind });
      }
      waiting.delete(key);
    },
    levels: () => chosen.map((list) => list.list()),
    seen: () => seen,
  };
}

/** Box corners are index coordinates as they are: MONAI takes them through the affine without half a voxel (`AffineBoxToWorldCoordinated`). */
function detectionOf({ box, score }: ScoredBox, view: AxisView): Detection {
  const [a, b] = [toVolumeIndex(view, [box[0], box[1], box[2]]), toVolumeIndex(view, [box[3], box[4], box[5]])];
  return {
    centre: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2, (a[2] + b[2]) / 2],
    box: [[Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.min(a[2], b[2])], [Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.max(a[2], b[2])]],
    score,
  };
}

/** @see MONAI 1.6 `ScaleIntensityRange` */
function intensity({ from, to, clip }: Retinanet3dManifest['preprocessing']['intensity']): Conversion {
  const scale = (to[1] - to[0]) / (from[1] - from[0]);
  return { scale, offset: to[0] - from[0] * scale, low: clip ? to[0] : -Infinity, high: clip ? to[1] : Infinity, keepsZero: false };
}

function divisible(size: Vector3, by: Vector3): Vector3 {
  return [Math.ceil(size[0] / by[0]) * by[0], Math.ceil(size[1] / by[1]) * by[1], Math.ceil(size[2] / by[2]) * by[2]];
}

function countOf([a, b, c]: Vector3): number {
  return a * b * c;
}

function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}
