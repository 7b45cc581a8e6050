const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Whether arrays and objects in a JSON text are nested deeper than `most`. Looks at each byte once and builds nothing, so that
 * it costs less than what it keeps away: readers that call themselves for each level.
 *
 * @param json  UTF-8; whether it is JSON at all is for the parser to say
 */
export function isDeeperThan(json: Uint8Array, most: number): boolean {
  let depth = 0;
  for (let index = 0; index < json.length; index++) {
    switch (json[index]) {
      case QUOTE:
        for (index++; index < json.length && json[index] !== QUOTE; index++) if (json[index] === BACKSLASH) index++;
        break;
      case 0x5b: case 0x7b:
        depth += 1;
        if (depth > most) return true;
        break;
      case 0x5d: case 0x7d:
        depth -= 1;
        break;
      default:
    }
  }
  return false;
}
