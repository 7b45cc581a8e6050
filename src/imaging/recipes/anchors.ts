import { roundHalfEven } from '../volume/axis-view.js';
import type { Vector3 } from '../volume/volume.js';

/** Low and high corner, in steps of the network's image. */
export type Box = readonly [number, number, number, number, number, number];

/** A level of the feature pyramid. */
export interface Level {
  /** Places of the feature map. */
  grid: Vector3;
  /** Steps of the image from one place to the next. */
  stride: Vector3;
  /** Boxes around the centre of a place. */
  anchors: readonly Box[];
}

/** @see MONAI 1.6 `AnchorGeneratorWithAnchorShape`: half sizes are rounded, half to even, so that a side of 5 becomes 4 */
export function levelOf(image: Vector3, grid: Vector3, shapes: readonly Vector3[], scale: number): Level {
  const stride: Vector3 = [Math.floor(image[0] / grid[0]), Math.floor(image[1] / grid[1]), Math.floor(image[2] / grid[2])];
  const anchors = shapes.map(([x, y, z]): Box => {
    const [a, b, c] = [roundHalfEven((x * scale) / 2), roundHalfEven((y * scale) / 2), roundHalfEven((z * scale) / 2)];
    return [-a, -b, -c, a, b, c];
  });
  return { grid, stride, anchors };
}

/** The anchor `index` at a place of the feature map. */
export function anchorAt({ stride, anchors }: Level, index: number, place: Vector3): Box {
  const [x0 = 0, y0 = 0, z0 = 0, x1 = 0, y1 = 0, z1 = 0] = anchors[index] ?? [];
  const [x, y, z] = [place[0] * stride[0] + Math.floor(stride[0] / 2), place[1] * stride[1] + Math.floor(stride[1] / 2), place[2] * stride[2] + Math.floor(stride[2] / 2)];
  return [x0 + x, y0 + y, z0 + z, x1 + x, y1 + y, z1 + z];
}

export interface BoxCoder {
  /** Of the three offsets, then of the three sizes. */
  weights: readonly [number, number, number, number, number, number];
  /** Largest logarithm of a size relative to the anchor's. */
  maxLogScale: number;
}

/**
 * A box from an anchor and what the network says of it: offsets of the centre in anchor sizes, then logarithms of sizes.
 *
 * @see MONAI 1.6 `BoxCoder.decode_single`; Ren et al. 2015, eq. 2
 */
export function decodeBox(code: ArrayLike<number>, anchor: Box, { weights, maxLogScale }: BoxCoder): Box {
  const side = (axis: 0 | 1 | 2): readonly [low: number, high: number] => {
    const high = axis === 0 ? anchor[3] : axis === 1 ? anchor[4] : anchor[5];
    const sizeWeight = axis === 0 ? weights[3] : axis === 1 ? weights[4] : weights[5];
    const width = high - anchor[axis];
    const centre = ((code[axis] ?? 0) / weights[axis]) * width + (anchor[axis] + high) / 2;
    const half = (Math.exp(Math.min((code[axis + 3] ?? 0) / sizeWeight, maxLogScale)) * width) / 2;
    return [centre - half, centre + half];
  };
  const [x, y, z] = [side(0), side(1), side(2)];
  return [x[0], y[0], z[0], x[1], y[1], z[1]];
}
