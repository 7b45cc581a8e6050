import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files of `npm run verify` that take longest, in that order. A long one that is begun last is waited for by a processor that has nothing else to do. */
const LONGEST = [
  'test/chaos/chaos.spec.ts', 'test/e2e/lung-forms.spec.ts', 'test/e2e/schemathesis.spec.ts', 'test/e2e/viewer-overlays.spec.ts', 'test/chaos/ingest-killed.spec.ts', 'test/e2e/stow-statuses.spec.ts',
  'test/integration/http/rate-limits-redis.long.spec.ts', 'test/chaos/killed.spec.ts', 'test/e2e/rolling-upgrade.spec.ts', 'test/e2e/signed-results.spec.ts', 'test/integration/analysis/worker-loss.long.spec.ts',
  'test/e2e/cli.spec.ts', 'test/integration/users/audit-chain.long.spec.ts', 'test/e2e/dicom-fuzz.spec.ts', 'test/integration/images/uploads.long.spec.ts', 'test/e2e/swagger.spec.ts', 'test/integration/backup/backup.long.spec.ts',
  'test/e2e/worklist.spec.ts', 'test/e2e/selftest.spec.ts', 'test/integration/images/dimse-association.long.spec.ts',
];

/** The groups in their order; within one, the longest files first, and the others as Vitest has them. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const groupOf = ({ project }: TestSpecification): number => project.config.sequence.groupOrder;
    const placeOf = ({ moduleId }: TestSpecification): number => {
      const place = LONGEST.indexOf(relative(this.ctx.config.root, moduleId));
      return place < 0 ? LONGEST.length : place;
    };
    return (await super.sort(files)).sort((a, b) => groupOf(a) - groupOf(b) || placeOf(a) - placeOf(b));
  }
}
