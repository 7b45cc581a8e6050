/** A closed surface of triangles. */
export interface Mesh {
  /** x, y, z, vertex by vertex. */
  vertices: Float64Array;
  /** Three vertices a triangle, counter-clockwise seen from outside. */
  triangles: Int32Array;
  /** The vertices that share an edge with each, one after another; those of vertex v begin at `starts[v]`. */
  neighbours: Int32Array;
  starts: Int32Array;
}

/**
 * A unit sphere: an icosahedron whose triangles are parted in four as many times as asked.
 *
 * @returns 10 · 4^divisions + 2 vertices
 */
export function sphere(divisions: number): Mesh {
  const golden = (1 + Math.sqrt(5)) / 2;
  const points: number[][] = [[-1, golden, 0], [1, golden, 0], [-1, -golden, 0], [1, -golden, 0], [0, -1, golden], [0, 1, golden], [0, -1, -golden], [0, 1, -golden], [golden, 0, -1], [golden, 0, 1], [-golden, 0, -1], [-golden, 0, 1]];
  let faces: number[][] = [
    [0, 11, 5], [0, 5, 1], [0, 1, 7], [0, 7, 10], [0, 10, 11], [1, 5, 9], [5, 11, 4], [11, 10, 2], [10, 7, 6], [7, 1, 8],
    [3, 9, 4], [3, 4, 2], [3, 2, 6], [3, 6, 8], [3, 8, 9], [4, 9, 5], [2, 4, 11], [6, 2, 10], [8, 6, 7], [9, 8, 1],
  ];
  for (let division = 0; division < divisions; division++) {
    const middles = new Map<string, number>();
    const middle = (a: number, b: number): number => {
      const key = a < b ? `${a},${b}` : `${b},${a}`;
      const known = middles.get(key);
      if (known !== undefined) return known;
      const [p, q] = [unit(points[a] ?? []), unit(points[b] ?? [])];
      points.push(p.map((x, i) => (x + (q[i] ?? 0)) / 2));
      middles.set(key, points.length - 1);
      return points.length - 1;
    };
    faces = faces.flatMap(([a = 0, b = 0, c = 0]) => {
      const [ab, bc, ca] = [middle(a, b), middle(b, c), middle(c, a)];
      return [[a, ab, ca], [b, bc, ab], [c, ca, bc], [ab, bc, ca]];
    });
  }
  const around = points.map(() => new Set<number>());
  for (const face of faces) for (const a of face) for (const b of face) if (a !== b) around[a]?.add(b);
  const starts = new Int32Array(points.length + 1);
  for (const [v, set] of around.entries()) starts[v + 1] = (starts[v] ?? 0) + set.size;
  return { vertices: Float64Array.from(points.flatMap(unit)), triangles: Int32Array.from(faces.flat()), neighbours: Int32Array.from(around.flatMap((set) => [...set])), starts };
}

function unit(point: number[]): number[] {
  const length = Math.hypot(...point);
  return point.map((x) => x / length);
}
