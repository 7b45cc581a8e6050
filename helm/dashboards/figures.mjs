// Panels that more than one dashboard shows.
import { badAbove, badBelow, grown, lines, query, stat } from './panels.mjs';

/** What Grafana makes of this is never shorter than four scrapes. */
export const RATE = '$__rate_interval';
export const REQUESTS = 'route!~"/health|/ready|/metrics"';
/** Without what takes as long as the line of the other side does, as in `healthvision:http_calls:rate5m`. */
export const CALLS = 'route!~"/health|/ready|/metrics|/api/v1/events|/api/v1/analyses/:id/events|/api/v1/images|/api/v1/uploads.*|/dicom-web/studies/:study|/dicom-web/studies/:study/series/:series|.*/(bulkdata|pixeldata)(/.*)?|.*/(deidentified-exports|export|export.csv|verification)"';
export const PROCESSES = 'job=~"healthvision-(api|worker)"';

export const errorRate = stat('Requests that fail', 'Share of the requests of the last five minutes that were answered with a status of 500 or more. Alert above 1 %.', query('max(healthvision:http_errors:ratio5m{#N})'), { unit: 'percentunit', decimals: 2, thresholds: badAbove(0.01) });

export const latency = stat('Answers within', 'p95 of the answers of the last five minutes that people wait for: uploads, downloads of whole studies and live events left out. Alert above 2 s.', query('max(healthvision:http_latency:p95_5m{#N})'), { unit: 's', decimals: 2, thresholds: badAbove(2) });

export const latencies = lines('How long answers take', 'Of the last five minutes, what people wait for: uploads, downloads of whole studies and live events left out. Alert when p95 is above 2 s.',
  [0.5, 0.95, 0.99].map((share) => query(`histogram_quantile(${String(share)}, sum by (le) (healthvision:http_calls:rate5m{#N}))`, `p${String(share * 100)}`)), { unit: 's', thresholds: badAbove(2) });

export const completion = stat('Analyses completed', 'Of the analyses that ended in the last hour, the share that gave an answer ("not analysable" is one). Alert below 95 %.', query('min(healthvision:runs_completed:ratio1h{#N})'), { unit: 'percentunit', decimals: 1, thresholds: badBelow(0.95) });

export const signInFailures = stat('Sign-ins that fail', 'Share of the sign-ins of people and systems in the last 15 minutes. Alert above 5 %, from ten failures on.', query('max(healthvision:sign_in_failures:ratio15m{#N})'), { unit: 'percentunit', decimals: 1, thresholds: badAbove(0.05) });

export const fullestDisk = stat('Fullest disk', 'How full the fullest file system is that holds images. Alert above 80 %.', query('max(healthvision:storage_used:ratio{#N})'), { unit: 'percentunit', decimals: 0, thresholds: badAbove(0.8) });

export const backupAge = stat('Newest backup', 'Age of the newest backup that ended well. Alert above 24 hours, and when there is none.', query('max(healthvision_backup_age_seconds{#N})'), { unit: 's', decimals: 1, thresholds: badAbove(86_400), bad: 'none' });

export const atWork = stat('At work', 'People and systems that made a request in the last 15 minutes; who was served by two processes counts twice.', query('sum(healthvision_active_users{#N})'), { decimals: 0 });

export const processors = lines('Processor', 'Of the cores of each process. Alert above 85 %; of workers, which compute with all they have, after an hour.', query('healthvision:cpu:ratio5m{#N}', '{{job}} {{instance}}'), { unit: 'percentunit', thresholds: badAbove(0.85) });

export const memories = lines('Memory', 'Of what each process may have. Alert above 90 %.', query('healthvision:memory:ratio{#N}', '{{job}} {{instance}}'), { unit: 'percentunit', max: 1, thresholds: badAbove(0.9) });

export const runsEnded = lines('Analyses that end', 'Per minute, by how they ended.', query(`sum by (outcome) (rate(healthvision_analysis_runs_total{#N}[${RATE}])) * 60`, '{{outcome}}'), { unit: 'suffix:/min', stacked: true });

export const studiesCompleted = lines('Studies that are whole', 'Of the last hour, by modality: settled after their quiet time, or declared complete.', query(`sum by (modality) (${grown('healthvision_studies_completed_total', '', '1h')})`, '{{modality}}'), { stacked: true });
