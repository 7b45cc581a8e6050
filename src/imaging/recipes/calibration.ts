import type { ImageClassifierManifest } from '../model/manifests/image-classifier.js';

export type Postprocessing = ImageClassifierManifest['postprocessing'];

/**
 * Calibrated probabilities of one image's outputs.
 *
 * @param outputs  logits `[class]`, or probabilities when the activation is `none`
 * @see Platt 1999; Guo et al. 2017, eq. 9 (temperature)
 */
export function probabilities(outputs: ArrayLike<number>, { activation, calibration }: Postprocessing): number[] {
  if (activation === 'none') return Array.from(outputs, (value) => Math.min(Math.max(value, 0), 1));
  const scaled = calibratedLogits(outputs, calibration);
  if (activation === 'sigmoid') return scaled.map(sigmoid);
  const top = Math.max(...scaled);
  const powers = scaled.map((value) => Math.exp(value - top));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

/**
 * How strongly the outputs speak for one class: calibrated log-odds, so that differences add up; probabilities as they are when
 * the model gives no logits.
 */
export function evidence(outputs: ArrayLike<number>, index: number, { activation, calibration }: Postprocessing): number {
  if (activation === 'none') return outputs[index] ?? 0;
  const scaled = calibratedLogits(outputs, calibration);
  const own = scaled[index] ?? 0;
  if (activation === 'sigmoid' || scaled.length < 2) return own;
  const others = scaled.filter((_, i) => i !== index);
  const top = Math.max(...others);
  return own - top - Math.log(others.reduce((total, value) => total + Math.exp(value - top), 0));
}

function calibratedLogits(outputs: ArrayLike<number>, calibration: Postprocessing['calibration']): number[] {
  const logits = Array.from(outputs);
  switch (calibration.method) {
    case 'none':
      return logits;
    case 'platt':
      return logits.map((logit) => calibration.slope * logit + calibration.intercept);
    case 'temperature':
      return logits.map((logit) => logit / calibration.temperature);
  }
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}
