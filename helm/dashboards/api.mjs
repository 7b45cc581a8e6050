import { atWork, CALLS, errorRate, latencies, latency, memories, PROCESSES, processors, RATE, REQUESTS } from './figures.mjs';
import { badAbove, grown, lines, query, stat } from './panels.mjs';

const SLOWEST = `rate(healthvision_http_request_duration_seconds_bucket{${CALLS}, #N}[${RATE}]) unless rate(healthvision_http_request_duration_seconds_bucket{method="POST", route="/dicom-web/studies", #N}[${RATE}])`;
const perMinute = (labels, selector) => `sum by (${labels}) (rate(healthvision_http_request_duration_seconds_count{${selector}, #N}[${RATE}])) * 60`;

export default {
  name: 'api', title: 'API', description: 'Who asks what, how fast it is answered, and what it costs the processes.',
  rows: [
    [
      errorRate,
      latency,
      stat('Requests', 'Per second, over the last five minutes; probes and scrapes left out.', query(`sum(rate(healthvision_http_request_duration_seconds_count{${REQUESTS}, #N}[5m]))`), { unit: 'suffix:/s', decimals: 1 }),
      atWork,
      stat('Slowed down', 'People and systems that were beyond their rate limit in the last minute.', query('sum(healthvision_rate_limited_principals{#N})'), { decimals: 0, thresholds: badAbove(1) }),
      stat('Latest event loop', 'How late the process is that is latest, p99. Above 0.5 s jobs lose their locks.', query(`max(nodejs_eventloop_lag_p99_seconds{${PROCESSES}, #N})`), { unit: 's', decimals: 3, thresholds: badAbove(0.5) }),
    ],
    [
      lines('Requests', 'Per second, of the ten most used routes.', query(`topk(10, sum by (method, route) (rate(healthvision_http_request_duration_seconds_count{${REQUESTS}, #N}[${RATE}])))`, '{{method}} {{route}}'), { unit: 'suffix:/s' }),
      latencies,
    ],
    [
      lines('Slowest routes', 'p95, of the ten slowest; uploads, downloads of whole studies and live events left out.', query(`topk(10, histogram_quantile(0.95, sum by (method, route, le) (${SLOWEST})) > 0)`, '{{method}} {{route}}'), { unit: 's', thresholds: badAbove(2) }),
      lines('Errors of ours', 'Of the last five minutes, by route and status of 500 or more.', query(`sum by (method, route, status) (${grown('healthvision_http_request_duration_seconds_count', 'status=~"5.."', '5m')})`, '{{status}} {{method}} {{route}}'), { stacked: true }),
    ],
    [
      lines('Refusals', 'Per minute, by status of 400 to 499.', query(perMinute('status', 'status=~"4.."'), '{{status}}'), { unit: 'suffix:/min', stacked: true }),
      lines('Rate limits', 'Requests beyond a limit in the last five minutes, by the kind of limit.', query(`sum by (limit) (${grown('healthvision_rate_limited_total', '', '5m')})`, '{{limit}}'), { stacked: true }),
    ],
    [
      lines('Connections to the database', 'Of all processes, by pool and state. What waits, waits for a connection.', query('sum by (pool, state) (healthvision_database_pool_connections{#N})', '{{pool}} {{state}}')),
      lines('Caches', 'Share of hits.', query(`(sum by (cache) (rate(healthvision_cache_requests_total{outcome="hit", #N}[${RATE}])) or sum by (cache) (rate(healthvision_cache_requests_total{#N}[${RATE}])) * 0) / sum by (cache) (rate(healthvision_cache_requests_total{#N}[${RATE}]))`, '{{cache}}'), { unit: 'percentunit', max: 1 }),
    ],
    [processors, memories],
    [
      lines('Event loop', 'How late each process is, p99. Above 0.5 s jobs lose their locks.', query(`nodejs_eventloop_lag_p99_seconds{${PROCESSES}, #N}`, '{{job}} {{instance}}'), { unit: 's', thresholds: badAbove(0.5) }),
      lines('Heap', 'JavaScript objects of each process.', query(`nodejs_heap_size_used_bytes{${PROCESSES}, #N}`, '{{job}} {{instance}}'), { unit: 'bytes' }),
    ],
  ],
};
