// Writes objects until it is killed, several at a time, and says each key once it was committed. One more it never ends:
// whenever it is killed, something is half written.
import { randomBytes } from 'node:crypto';

const [dist, root, run] = process.argv.slice(2);
const { DiskObjectStore } = await import(`${dist}/src/platform/storage/disk-object-store.js`);
const { DiskGuard } = await import(`${dist}/src/platform/storage/disk-guard.js`);

const store = new DiskObjectStore(root, new DiskGuard(root, 0));
await store.prepare();
const bytes = randomBytes(200_000);
await (await store.begin()).append(bytes);
let count = 0;
await Promise.all(Array.from({ length: 4 }, async () => {
  for (;;) {
    const key = `${run}/${count % 5}/${count++}`;
    const draft = await store.begin();
    // The last four bytes of an object are what its first four say: half of it would not pass.
    const mark = randomBytes(4);
    await draft.append(mark);
    await draft.append(bytes);
    await draft.append(mark);
    await draft.commit(key);
    process.stdout.write(`${key}\n`);
  }
}));
