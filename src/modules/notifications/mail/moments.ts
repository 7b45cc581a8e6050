import { CRITICAL_TOPICS, type NotifiedTopic } from '../topics.js';
import type { MailWay, Preferences } from '../preferences/preferences.js';

const MINUTE_MS = 60_000;
/** Clocks are put forward and back at quarters of an hour, and zones lie quarters apart. */
const QUARTER_MS = 15 * MINUTE_MS;
/** A day may have 25 hours, and what is sought may lie on the next one. */
const MOST_QUARTERS = 4 * 49;

/** What a clock on a wall in a time zone shows. */
interface WallClock {
  date: string;
  /** Since its midnight, 0–1439. */
  minutes: number;
}

const FORMATS = new Map<string, Intl.DateTimeFormat>();
/** A zone may be written with capitals anywhere, so there are more names than zones. */
const MOST_FORMATS = 1_000;

export function wallClock(at: Date, timeZone: string): WallClock {
  const format = FORMATS.get(timeZone) ?? new Intl.DateTimeFormat('en-GB', { timeZone, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' });
  if (FORMATS.size >= MOST_FORMATS) FORMATS.clear();
  FORMATS.set(timeZone, format);
  const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
  return { date: `${parts.year ?? ''}-${parts.month ?? ''}-${parts.day ?? ''}`, minutes: Number(parts.hour) * 60 + Number(parts.minute) };
}

/** `from` belongs to them, `to` does not. */
export function isQuiet(at: Date, { quietHours, timeZone }: Pick<Preferences, 'quietHours' | 'timeZone'>): boolean {
  if (quietHours === null) return false;
  const { minutes } = wallClock(at, timeZone);
  const [from, to] = [minutesOf(quietHours.from), minutesOf(quietHours.to)];
  return from < to ? minutes >= from && minutes < to : minutes >= from || minutes < to;
}

/** `at`, or when the quiet hours that it lies in end. */
export function afterQuiet(at: Date, preferences: Pick<Preferences, 'quietHours' | 'timeZone'>): Date {
  if (!isQuiet(at, preferences)) return at;
  const end = firstQuarter(at, (moment) => !isQuiet(moment, preferences));
  // They may end at any minute of the quarter before.
  for (let ms = Math.max(end.getTime() - QUARTER_MS, at.getTime()); ms < end.getTime(); ms = (Math.floor(ms / MINUTE_MS) + 1) * MINUTE_MS) if (!isQuiet(new Date(ms), preferences)) return new Date(ms);
  return end;
}

/**
 * The next time that a digest goes out, after `at`. An hour that the clock skips is over when the clock is put forward; one that comes
 * twice counts once.
 */
export function nextDigest(at: Date, { digest, timeZone }: Pick<Preferences, 'digest' | 'timeZone'>): Date {
  if (digest.every === 'hour') return firstQuarter(at, (moment) => wallClock(moment, timeZone).minutes % 60 === 0);
  const wanted = digest.hour * 60;
  return firstQuarter(at, (moment) => {
    const [now, before] = [wallClock(moment, timeZone), wallClock(new Date(moment.getTime() - QUARTER_MS), timeZone)];
    return now.minutes >= wanted && (before.minutes < wanted || before.date !== now.date) && now.date >= before.date;
  });
}

/** When a mail about a topic is to go out that could go out `at`. What is critical waits for nothing. */
export function dueAt(at: Date, topic: NotifiedTopic, way: Exclude<MailWay, 'off'>, preferences: Preferences): Date {
  if (CRITICAL_TOPICS.includes(topic)) return at;
  return afterQuiet(way === 'digest' ? nextDigest(at, preferences) : at, preferences);
}

/** The first quarter of an hour after `at` that fits; what fits none within two days counts as the last of them. */
function firstQuarter(at: Date, fits: (moment: Date) => boolean): Date {
  let moment = new Date(Math.floor(at.getTime() / QUARTER_MS) * QUARTER_MS);
  for (let quarter = 0; quarter < MOST_QUARTERS; quarter++) {
    moment = new Date(moment.getTime() + QUARTER_MS);
    if (fits(moment)) break;
  }
  return moment;
}

function minutesOf(timeOfDay: string): number {
  return Number(timeOfDay.slice(0, 2)) * 60 + Number(timeOfDay.slice(3));
}
