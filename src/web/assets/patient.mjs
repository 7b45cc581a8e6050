import { texts } from './forms.mjs';

/** Who a study is of, in words. */
export function patientOf({ patientName, patientId, readable: isReadable }) {
  if (!isReadable) return texts.unreadable;
  return patientName === null ? patientId ?? texts.unnamed : readable(patientName, ', ');
}

/** "Family^Given^Middle" as people write it. */
export function readable(name, comma) {
  const [family = '', ...rest] = name.split('^').map((part) => part.trim());
  const given = rest.filter((part) => part !== '').join(' ');
  return [family, given].filter((part) => part !== '').join(/[\p{Script=Han}\p{Script=Hangul}]/u.test(name) ? ' ' : comma);
}
