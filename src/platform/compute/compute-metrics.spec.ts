import { describe, expect, it } from 'vitest';
import { Metrics } from '../ops/metrics.js';
import { ComputeMetrics } from './compute-metrics.js';

describe('what compute threads hold', () => {
  it('is added up by provider, and gone with its thread', async () => {
    const metrics = new Metrics();
    const shown = new ComputeMetrics(metrics, ['cuda', 'cpu']);
    const lines = async (): Promise<string[]> => (await metrics.registry.getSingleMetricAsString('healthvision_models_resident')).split('\n').filter((line) => !line.startsWith('#'));
    expect(await lines()).toEqual(['healthvision_models_resident{provider="cuda"} 0', 'healthvision_models_resident{provider="cpu"} 0']);
    shown.holds(1, { cuda: 1, cpu: 1 });
    shown.holds(2, { cpu: 1 });
    shown.holds(2, { cpu: 2 });
    expect(await lines()).toEqual(['healthvision_models_resident{provider="cuda"} 1', 'healthvision_models_resident{provider="cpu"} 3']);
    shown.threadEnded(1);
    expect(await lines()).toEqual(['healthvision_models_resident{provider="cuda"} 0', 'healthvision_models_resident{provider="cpu"} 2']);
  });
});
