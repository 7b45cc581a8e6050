import { z } from 'zod';

/** `?limit=&cursor=` of every list. The cursor is the id of the last item seen (ids are UUIDv7, so they sort by time). */
export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50).meta({ description: 'Items a page, at most 200', example: 50 }),
  cursor: z.uuid().optional().meta({ description: '`nextCursor` of the page before' }),
});

export type PageQuery = z.infer<typeof pageQuery>;

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

export function pageSchema<T extends z.ZodType>(item: T, id: string): z.ZodObject<{ items: z.ZodArray<T>; nextCursor: z.ZodNullable<z.ZodUUID> }> {
  return z.object({ items: z.array(item), nextCursor: z.uuid().nullable() }).meta({ id });
}

/** Cuts a list that was read with `limit + 1` rows to a page. */
export function pageOf<Row extends { id: string }, T>(rows: Row[], limit: number, map: (row: Row) => T): Page<T> {
  const shown = rows.slice(0, limit);
  return { items: shown.map(map), nextCursor: rows.length > limit ? (shown.at(-1)?.id ?? null) : null };
}
