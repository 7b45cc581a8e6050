/** A function to climb: its value and its derivatives. */
export type Objective = (parameters: Float64Array) => { value: number; gradient: Float64Array };

export interface Climb {
  parameters: Float64Array;
  value: number;
  evaluations: number;
}

/**
 * Climbs to a maximum with BFGS steps that are halved until they gain.
 *
 * @param maxStep  longest step, in the unit of the parameters
 * @param minStep  shorter steps end the climb
 * @see Nocedal and Wright, Numerical Optimization (2006), algorithms 6.1 and 3.1
 */
export function climb(objective: Objective, start: Float64Array, { maxStep, minStep, maxIterations }: { maxStep: number; minStep: number; maxIterations: number }): Climb {
  const n = start.length;
  let at = { parameters: start, ...objective(start) };
  let evaluations = 1;
  let inverse: Float64Array | undefined;
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    let direction = inverse === undefined ? at.gradient.slice() : times(inverse, at.gradient);
    let slope = dot(direction, at.gradient);
    if (!(slope > 0)) {
      inverse = undefined;
      direction = at.gradient.slice();
      slope = dot(direction, direction);
    }
    const length = Math.sqrt(dot(direction, direction));
    if (!(length > 0)) break;
    // Without curvature the gradient's length says nothing about distance: the first step is the longest one.
    let step = inverse === undefined ? maxStep / length : Math.min(1, maxStep / length);
    let next: typeof at | undefined;
    while (step * length >= minStep) {
      const parameters = at.parameters.map((p, i) => p + step * (direction[i] ?? 0));
      const there = objective(parameters);
      evaluations++;
      if (there.value >= at.value + 1e-4 * step * slope) {
        next = { parameters, ...there };
        break;
      }
      step /= 2;
    }
    if (next === undefined) {
      if (inverse === undefined) break;
      inverse = undefined;
      continue;
    }
    const moved = next.parameters.map((p, i) => p - (at.parameters[i] ?? 0));
    // Of −f, whose minimum is looked for.
    const bent = next.gradient.map((g, i) => (at.gradient[i] ?? 0) - g);
    inverse = updated(inverse, moved, bent, n);
    at = next;
    if (Math.sqrt(dot(moved, moved)) < minStep) break;
  }
  return { parameters: at.parameters, value: at.value, evaluations };
}

/** BFGS, eq. 6.17; begins with the scale of eq. 6.20. */
function updated(inverse: Float64Array | undefined, s: Float64Array, y: Float64Array, n: number): Float64Array | undefined {
  const sy = dot(s, y);
  if (sy <= 1e-12 * Math.sqrt(dot(s, s) * dot(y, y))) return inverse;
  const scale = sy / dot(y, y);
  const h = inverse ?? Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? scale : 0));
  const hy = times(h, y);
  const factor = (sy + dot(y, hy)) / (sy * sy);
  return h.map((entry, i) => {
    const [row, column] = [Math.floor(i / n), i % n];
    return entry + factor * (s[row] ?? 0) * (s[column] ?? 0) - ((hy[row] ?? 0) * (s[column] ?? 0) + (s[row] ?? 0) * (hy[column] ?? 0)) / sy;
  });
}

function times(matrix: Float64Array, vector: Float64Array): Float64Array {
  const n = vector.length;
  return vector.map((_, row) => {
    let sum = 0;
    for (let column = 0; column < n; column++) sum += (matrix[row * n + column] ?? 0) * (vector[column] ?? 0);
    return sum;
  });
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
