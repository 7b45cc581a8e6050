/** A parsed configuration of a MONAI bundle: JSON whose strings may be references (`@id`) or Python (`$…`). */
export type MonaiConfig = Readonly<Record<string, unknown>>;

export function isConfig(value: unknown): value is MonaiConfig {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * What a value stands for: references are followed, Python is not run and stays text.
 *
 * @see MONAI bundle specification, `@` and `::` of `ReferenceResolver`
 */
export function resolved(config: MonaiConfig, value: unknown, depth = 0): unknown {
  if (typeof value !== 'string' || !/^@[\w:#]+$/.test(value) || depth > 8) return value;
  let found: unknown = config;
  for (const key of value.slice(1).split(/::|#/)) found = isConfig(found) ? found[key] : Array.isArray(found) ? (found as unknown[])[Number(key)] : undefined;
  return resolved(config, found, depth + 1);
}

/** The component whose `_target_` ends with a name, wherever it stands. */
export function componentOf(value: unknown, target: RegExp): MonaiConfig | undefined {
  if (Array.isArray(value)) return firstOf(value, target);
  if (!isConfig(value)) return undefined;
  return typeof value._target_ === 'string' && target.test(value._target_) ? value : firstOf(Object.values(value), target);
}

function firstOf(values: readonly unknown[], target: RegExp): MonaiConfig | undefined {
  for (const value of values) {
    const found = componentOf(value, target);
    if (found) return found;
  }
  return undefined;
}

/** Keyword arguments of a method that an expression such as `$@detector.set_x(a=1,b=@c,d='e')` calls, wherever it stands. */
export function callOf(config: MonaiConfig, method: string): MonaiConfig | undefined {
  const text = textsOf(config).find((candidate) => candidate.startsWith('$') && candidate.includes(`.${method}(`));
  const inside = text === undefined ? undefined : new RegExp(`\\.${method}\\((.*)\\)\\s*$`, 's').exec(text)?.[1];
  if (inside === undefined) return undefined;
  // A keyword's value runs to the next keyword: lists hold commas.
  const entries = [...inside.matchAll(/(\w+)\s*=\s*(.*?)(?=,\s*\w+\s*=|\s*$)/gs)].map(([, key = '', value = '']) => [key, resolved(config, literal(value.trim()))] as const);
  return Object.fromEntries(entries);
}

function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : [];
}

/** A literal of Python as JSON has it; what is neither stays text. */
function literal(text: string): unknown {
  if (text === 'True' || text === 'False') return text === 'True';
  try {
    return JSON.parse(text.replaceAll('(', '[').replaceAll(')', ']').replaceAll("'", '"')) as unknown;
  } catch {
    return text;
  }
}
