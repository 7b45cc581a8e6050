// Lets a worker thread run the TypeScript sources as they are, so that tests never meet a stale build.
// Used as `node --import`; see src/platform/threads/thread-entry.ts.
import { register } from 'node:module';

register('./typescript-hooks.mjs', import.meta.url);
