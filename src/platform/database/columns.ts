import { Prisma } from '../../generated/prisma/client.js';

/**
 * The columns of a table as a SELECT's list, each under its name in Prisma's model, so that a row read by hand has Prisma's shape.
 *
 * @param fields one of `Prisma.…ScalarFieldEnum`
 * @param alias of the table in the statement
 */
export function columnsOf(fields: Readonly<Record<string, string>>, alias?: string): Prisma.Sql {
  const prefix = alias === undefined ? '' : `${alias}.`;
  return Prisma.raw(Object.values(fields).map((field) => `${prefix}${snakeCase(field)} AS "${field}"`).join(', '));
}

/** All columns are named like this; see prisma/schema.prisma. */
function snakeCase(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
