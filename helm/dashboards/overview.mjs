import { atWork, backupAge, completion, errorRate, fullestDisk, latencies, latency, memories, PROCESSES, processors, RATE, REQUESTS, runsEnded, signInFailures } from './figures.mjs';
import { badAbove, lines, query, stat, steps, table } from './panels.mjs';

export default {
  name: 'overview', title: 'overview', description: 'Is all well? What the alerts look at, on one page.',
  rows: [
    [
      stat('Processes that answer', 'Of each kind, the share that Prometheus reaches.', query(`avg by (job) (up{${PROCESSES}, #N})`, '{{job}}'), { unit: 'percentunit', decimals: 0, thresholds: steps(['red', null], ['orange', 0.01], ['green', 1]) }),
      stat('Alerts', 'That fire now, by severity: P1 wakes somebody.', query('count by (severity) (ALERTS{alertstate="firing", alertname=~"HealthVision.+", category!="watchdog", #N})', '{{severity}}'), { noValue: 'none', thresholds: badAbove(1) }),
      errorRate,
      latency,
      stat('Longest queue', 'Jobs that wait in the queue with most of them. Alert above 100.', query('max(healthvision:queue_backlog:max{#N})'), { decimals: 0, thresholds: badAbove(100) }),
      completion,
    ],
    [
      signInFailures,
      fullestDisk,
      stat('Busiest process', 'Of its processor cores. Alert above 85 %; workers may be there while they compute.', query('max(healthvision:cpu:ratio5m{#N})'), { unit: 'percentunit', decimals: 0, thresholds: badAbove(0.85) }),
      stat('Fullest memory', 'Of what the process may have. Alert above 90 %.', query('max(healthvision:memory:ratio{#N})'), { unit: 'percentunit', decimals: 0, thresholds: badAbove(0.9) }),
      backupAge,
      atWork,
    ],
    [lines('Requests', 'Per second, by status; probes and scrapes left out.', query(`sum by (status) (rate(healthvision_http_request_duration_seconds_count{${REQUESTS}, #N}[${RATE}]))`, '{{status}}'), { unit: 'suffix:/s', stacked: true }), latencies],
    [lines('What waits', 'Jobs that wait, of every queue that has some. Alert above 100.', [query('max(healthvision:queue_backlog:max{#N})', 'longest'), query('healthvision:queue_backlog:max{#N} > 0', '{{queue}}')], { thresholds: badAbove(100) }), runsEnded],
    [processors, memories],
    [
      table('What runs', 'Versions of the processes: more than one while an upgrade goes on.', query('count by (version, role) (healthvision_build_info{#N})'), { column: 'processes', height: 6 }),
      lines('What was mended', 'By the reconciler in the last hour, by kind. A sound installation shows nothing but acknowledgements.', query('sum by (kind) (healthvision:repairs:increase1h{#N})', '{{kind}}'), { height: 6 }),
    ],
  ],
};
