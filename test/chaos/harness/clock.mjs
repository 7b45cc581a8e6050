// `--import` of a process whose clock jumps: the file CLOCK_FILE says by how many milliseconds it is wrong. Timers go on as before, as they do on a machine whose clock is set.
import { readFileSync } from 'node:fs';

const LOOK_MS = 200;
const file = process.env.CLOCK_FILE;
const Real = Date;
let offset = 0;

const look = () => {
  try {
    offset = Number(readFileSync(file, 'utf8')) || 0;
  } catch {
    // It is being written.
  }
};
look();
setInterval(look, LOOK_MS).unref();

const now = () => Real.now() + offset;
globalThis.Date = new Proxy(Real, {
  construct: (target, values, maker) => Reflect.construct(target, values.length === 0 ? [now()] : values, maker === globalThis.Date ? target : maker),
  apply: () => new Real(now()).toString(),
  get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
});
