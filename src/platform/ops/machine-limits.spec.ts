import { cpus, totalmem } from 'node:os';
import { describe, expect, it } from 'vitest';
import { cpuLimitCores, memoryLimit, type ReadText } from './machine-limits.js';

const files = (known: Record<string, string>): ReadText => (path) => known[path];
const MIB = 2 ** 20;

describe('the limits of a process', () => {
  it('are those of the machine where no group has any', () => {
    const { limitBytes, usedBytes } = memoryLimit(files({}));
    expect(limitBytes).toBe(totalmem());
    expect(usedBytes).toBeGreaterThan(0);
    expect(usedBytes).toBeLessThan(limitBytes);
    expect(cpuLimitCores(files({}))).toBeGreaterThanOrEqual(1);
  });

  it('come from a container of version 2, which sees itself at the root', () => {
    const read = files({
      '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '50000 100000\n', '/sys/fs/cgroup/memory.max': `${String(256 * MIB)}\n`, '/sys/fs/cgroup/memory.high': 'max\n',
      '/sys/fs/cgroup/memory.current': `${String(200 * MIB)}\n`, '/sys/fs/cgroup/memory.stat': `anon 1\nactive_file 7\ninactive_file ${String(50 * MIB)}\n`,
    });
    expect(memoryLimit(read)).toEqual({ limitBytes: 256 * MIB, usedBytes: 150 * MIB });
    expect(cpuLimitCores(read)).toBe(0.5);
  });

  it('are the tightest of a group and those above it, and so is what is used of them', () => {
    const read = files({
      '/proc/self/cgroup': '0::/pod/container\n',
      '/sys/fs/cgroup/pod/container/memory.max': 'max\n', '/sys/fs/cgroup/pod/container/memory.current': '1\n', '/sys/fs/cgroup/pod/container/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/pod/memory.max': `${String(512 * MIB)}\n`, '/sys/fs/cgroup/pod/memory.high': `${String(400 * MIB)}\n`, '/sys/fs/cgroup/pod/memory.current': `${String(300 * MIB)}\n`, '/sys/fs/cgroup/pod/cpu.max': '25000 100000\n',
    });
    expect(memoryLimit(read)).toEqual({ limitBytes: 400 * MIB, usedBytes: 300 * MIB });
    expect(cpuLimitCores(read)).toBe(0.25);
  });

  it('come from a container of version 1, whose path is that of the host', () => {
    const read = files({
      '/proc/self/cgroup': '5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/docker/abc\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': `${String(256 * MIB)}\n`, '/sys/fs/cgroup/memory/memory.usage_in_bytes': `${String(100 * MIB)}\n`, '/sys/fs/cgroup/memory/memory.stat': `inactive_file 3\ntotal_inactive_file ${String(10 * MIB)}\n`,
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '150000\n', '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '200000\n',
    });
    expect(memoryLimit(read)).toEqual({ limitBytes: 256 * MIB, usedBytes: 90 * MIB });
    expect(cpuLimitCores(read)).toBe(0.75);
  });

  it('are none where version 1 writes a number that no machine has, or no quota', () => {
    const read = files({
      '/proc/self/cgroup': '5:memory:/\n4:cpu:/\n', '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n', '/sys/fs/cgroup/memory/memory.usage_in_bytes': '1\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n', '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    });
    expect(memoryLimit(read).limitBytes).toBe(totalmem());
    expect(cpuLimitCores(read)).toBe(cpuLimitCores(files({})));
  });

  it('are no more than the machine has', () => {
    const read = files({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '100000000 100000\n', '/sys/fs/cgroup/memory.max': `${String(2 ** 52)}\n` });
    expect(cpuLimitCores(read)).toBe(cpus().length);
    expect(memoryLimit(read).limitBytes).toBe(totalmem());
  });
});
