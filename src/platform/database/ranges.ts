import { Prisma } from '../../generated/prisma/client.js';
import type { Range } from '../../kernel/range.js';

/**
 * That a column lies within one of these ranges.
 *
 * @param column  as it stands in the statement, never from outside
 */
export function withinAny(column: string, ranges: readonly Range<string | Date>[]): Prisma.Sql {
  const name = Prisma.raw(column);
  const alternatives = ranges.map(({ from, before }) => Prisma.sql`(${Prisma.join([
    Prisma.sql`${name} IS NOT NULL`,
    ...(from === undefined ? [] : [Prisma.sql`${name} >= ${typed(from)}`]),
    ...(before === undefined ? [] : [Prisma.sql`${name} < ${typed(before)}`]),
  ], ' AND ')})`);
  return alternatives.length === 0 ? Prisma.sql`false` : Prisma.sql`(${Prisma.join(alternatives, ' OR ')})`;
}

function typed(value: string | Date): Prisma.Sql {
  return typeof value === 'string' ? Prisma.sql`${value}::text` : Prisma.sql`${value}::timestamptz`;
}
