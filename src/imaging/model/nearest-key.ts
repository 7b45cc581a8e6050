import { z } from 'zod';

/** A JSON Schema as `z.toJSONSchema` writes it; only the parts that lead to property names. */
interface SchemaNode {
  properties?: Record<string, SchemaNode>;
  items?: SchemaNode;
  prefixItems?: SchemaNode[];
  additionalProperties?: SchemaNode | boolean;
  anyOf?: SchemaNode[];
  oneOf?: SchemaNode[];
  $ref?: string;
  $defs?: Record<string, SchemaNode>;
}

/**
 * The valid key that a mistyped one most likely meant, among those of the object at `path`.
 *
 * @returns undefined when none is near (more than two edits, or a third of its length)
 */
export function nearestKey(schema: z.ZodType, path: readonly PropertyKey[], key: string): string | undefined {
  // The converter's own type is wider; what is read of it is checked for being there.
  const root = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as SchemaNode;
  let nodes = [root];
  for (const segment of path) nodes = nodes.flatMap((node) => branches(node, root)).flatMap((node) => child(node, segment));
  const keys = nodes.flatMap((node) => branches(node, root)).flatMap((node) => Object.keys(node.properties ?? {}));
  const ranked = keys.map((candidate) => ({ candidate, distance: editDistance(key.toLowerCase(), candidate.toLowerCase()) })).sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best && best.distance <= Math.max(2, Math.floor(best.candidate.length / 3)) ? best.candidate : undefined;
}

function branches(node: SchemaNode, root: SchemaNode): SchemaNode[] {
  const target = node.$ref === undefined ? undefined : node.$ref === '#' ? root : root.$defs?.[node.$ref.replace('#/$defs/', '')];
  return [node, ...(target ? branches(target, root) : []), ...[...(node.anyOf ?? []), ...(node.oneOf ?? [])].flatMap((branch) => branches(branch, root))];
}

function child(node: SchemaNode, segment: PropertyKey): SchemaNode[] {
  if (typeof segment === 'number') return [node.prefixItems?.[segment] ?? node.items].filter((found) => found !== undefined);
  const found = node.properties?.[String(segment)] ?? (typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined);
  return found ? [found] : [];
}

/** Insertions, deletions, replacements and swaps of neighbours. @see Damerau 1964 */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : Infinity;
      row.push(Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1), swapped));
    }
  }
  return at(a.length, b.length);
}
