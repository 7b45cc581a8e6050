import { buildIfStale } from '../../src/cli/build.mjs';

/** Worker threads and processes of the tests run compiled code: it is made before the first test. */
export default function setup() {
  buildIfStale();
}
