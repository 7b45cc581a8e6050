import { AppError } from '../../kernel/errors.js';
import type { ModelLabel } from '../model/manifest.js';
import type { ImageClassifierManifest } from '../model/manifests/image-classifier.js';
import type { Session, Tensor } from '../model/session.js';
import type { OutOfDistribution } from '../report/finding.js';
import type { DisplayImage } from '../render/window.js';
import { evidence, probabilities } from './calibration.js';
import { checkFinite } from './finite-output.js';
import { toWholeImage, type EvidenceMap } from './heat-map.js';
import { occlusionMaps } from './occlusion.js';
import { centreSquare, crop, normalise, resize, toPlanes, type Crop, type Planes } from './planes.js';
import { strangenessMeter, type StrangenessMeter } from './strangeness.js';

/** One image, ready for the network. */
export interface ClassifierInput {
  planes: Planes<Float32Array>;
  /** The part of the image that the network sees. */
  crop: Crop;
  image: { width: number; height: number };
}

export interface Classification {
  /** Calibrated, one for each label of the manifest, in its order; disabled labels are left out. */
  labels: { label: ModelLabel; probability: number; heatMap: EvidenceMap }[];
  outOfDistribution?: OutOfDistribution | undefined;
}

/** Crop → resize → normalise, as the manifest says. */
export function prepare(image: DisplayImage, manifest: ImageClassifierManifest): ClassifierInput {
  const { preprocessing, input } = manifest;
  const { width, height } = image;
  const area = preprocessing.crop === 'centre-square' ? centreSquare(width, height) : { x: 0, y: 0, width, height };
  const cropped = crop(toPlanes(image, input.shape[1]), area);
  const { resize: target, scale, mean, std } = preprocessing;
  const planes = normalise(resize(cropped, target.width, target.height, target.interpolation), scale, mean, std);
  return { planes, crop: area, image: { width, height } };
}

/**
 * Calibrated probabilities and what drove them: the model's own class activation map, else occlusion.
 *
 * @throws AppError `model-output-invalid` for numbers that are not finite or outputs of another shape
 * @see Zhou et al. 2016 (class activation maps)
 */
export async function classify(input: ClassifierInput, manifest: ImageClassifierManifest, session: Session, progress: (done: number) => void = () => undefined): Promise<Classification> {
  const { postprocessing } = manifest;
  const labels = manifest.labels.filter(({ enabled }) => enabled);
  const meter = strangenessMeter(manifest.outOfDistribution);
  const { logits, activationMap } = await forward(input.planes.data, 1, manifest, session, meter);
  const row = logits[0] ?? [];
  const chances = probabilities(row, postprocessing);
  progress(0.2);
  const maps = activationMap
    ? labels.map(({ index }) => classActivation(activationMap, index, manifest))
    : await occlusionMaps(
        input.planes,
        labels.map(({ index }) => evidence(row, index, postprocessing)),
        manifest.input.shape[0] === 'batch',
        async (batch, count) => (await forward(batch, count, manifest, session)).logits.map((outputs) => labels.map(({ index }) => evidence(outputs, index, postprocessing))),
        (done) => { progress(0.2 + 0.8 * done); },
      );
  progress(1);
  return {
    outOfDistribution: meter.verdict(),
    labels: labels.map((label, i) => ({
      label,
      probability: chances[label.index] ?? 0,
      heatMap: toWholeImage(maps[i] ?? { width: 1, height: 1, data: new Float32Array(1) }, input.crop, input.image),
    })),
  };
}

/** Probabilities alone, for many images at once; for evaluation. Throws as `classify` does. */
export async function classifyBatch(inputs: readonly ClassifierInput[], manifest: ImageClassifierManifest, session: Session): Promise<number[][]> {
  const size = inputs[0]?.planes.data.length ?? 0;
  const batch = new Float32Array(inputs.length * size);
  for (const [i, { planes }] of inputs.entries()) batch.set(planes.data, i * size);
  const { logits } = await forward(batch, inputs.length, manifest, session);
  return logits.map((row) => probabilities(row, manifest.postprocessing));
}

/**
 * A first inference on a made-up image: the tensors have the names and shapes that the manifest says, and the numbers are finite.
 *
 * @throws AppError `model-load-failed`, `model-output-invalid`
 */
export async function check(manifest: ImageClassifierManifest, session: Session): Promise<void> {
  const { input, outputs } = manifest;
  const wanted = [outputs.logits.name, ...(outputs.activationMap ? [outputs.activationMap.name] : [])];
  if (!session.inputNames.includes(input.name)) throw new AppError('model-load-failed', { detail: `The model has no input "${input.name}"; it has ${session.inputNames.join(', ')}` });
  if (session.inputNames.length !== 1) throw new AppError('model-load-failed', { detail: `The model has ${session.inputNames.length} inputs; the recipe feeds one` });
  const missing = wanted.find((name) => !session.outputNames.includes(name));
  if (missing !== undefined) throw new AppError('model-load-failed', { detail: `The model has no output "${missing}"; it has ${session.outputNames.join(', ')}` });
  const [width, height] = [input.shape[3], input.shape[2]];
  // A slope with a bright square: neither constant nor symmetric.
  const data = Uint8Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    return x > width / 2 && y > height / 3 && y < height / 2 ? 255 : Math.floor((200 * (x + y)) / (width + height));
  });
  await classify(prepare({ width, height, channels: 1, data }, manifest), manifest, session);
}

async function forward(data: Float32Array, count: number, manifest: ImageClassifierManifest, session: Session, meter?: StrangenessMeter): Promise<{ logits: number[][]; activationMap?: Tensor }> {
  const [, channels, height, width] = manifest.input.shape;
  const outputs = await session.run({ [manifest.input.name]: { data, dims: [count, channels, height, width] } });
  meter?.take(outputs, count);
  const { logits: declared, activationMap: declaredMap } = manifest.outputs;
  const logits = finite(outputs[declared.name], declared.name);
  const classes = logits.dims[1] ?? 0;
  if (logits.dims.length !== 2 || logits.dims[0] !== count || manifest.labels.some(({ index }) => index >= classes)) {
    throw new AppError('model-output-invalid', { detail: `The output "${declared.name}" has the shape [${logits.dims.join(', ')}]` });
  }
  const rows = Array.from({ length: count }, (_, i) => Array.from({ length: classes }, (__, c) => Number(logits.data[i * classes + c])));
  if (!declaredMap) return { logits: rows };
  const activationMap = finite(outputs[declaredMap.name], declaredMap.name);
  const [images, depth = 0, mapHeight = 0, mapWidth = 0] = activationMap.dims;
  if (activationMap.dims.length !== 4 || images !== count || (depth !== 1 && depth !== classes) || mapHeight * mapWidth === 0) {
    throw new AppError('model-output-invalid', { detail: `The output "${declaredMap.name}" has the shape [${activationMap.dims.join(', ')}]` });
  }
  return { logits: rows, activationMap };
}

function finite(tensor: Tensor | undefined, name: string): Tensor {
  if (tensor === undefined) throw new AppError('model-load-failed', { detail: `The model has no output "${name}"` });
  checkFinite(tensor.data, name);
  return tensor;
}

/** The label's channel in units of calibrated evidence; against the mean of the other classes where they compete (softmax). */
function classActivation({ data, dims }: Tensor, index: number, { postprocessing: { activation, calibration } }: ImageClassifierManifest): EvidenceMap {
  const [, depth = 1, height = 1, width = 1] = dims;
  const count = height * width;
  const factor = calibration.method === 'platt' ? calibration.slope : calibration.method === 'temperature' ? 1 / calibration.temperature : 1;
  const channel = depth === 1 ? 0 : index;
  const out = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const own = Number(data[channel * count + i]);
    let others = 0;
    if (activation === 'softmax' && depth > 1) for (let c = 0; c < depth; c++) if (c !== channel) others += Number(data[c * count + i]) / (depth - 1);
    out[i] = factor * (own - others);
  }
  return { width, height, data: out };
}
