import { fullestDisk, RATE, studiesCompleted } from './figures.mjs';
import { badAbove, grown, lines, query, stat } from './panels.mjs';

export default {
  name: 'ingest', title: 'ingest', description: 'What comes in: over DICOMweb, uploads and DIMSE, and where it is put.',
  rows: [
    [
      stat('Instances stored', 'Within the time shown.', query(`sum(${grown('healthvision_ingest_instances_total', 'outcome="stored"', '$__range')})`), { decimals: 0 }),
      stat('Bytes stored', 'Within the time shown.', query(`sum(${grown('healthvision_ingest_bytes_total', '', '$__range')})`), { unit: 'bytes' }),
      stat('Files refused', 'Within the time shown; below is why.', query(`sum(${grown('healthvision_ingest_instances_total', 'outcome!~"stored|duplicate"', '$__range')})`), { decimals: 0, noValue: '0' }),
      stat('DIMSE associations open', 'Now.', query('sum(healthvision_dimse_open_associations{#N})'), { decimals: 0 }),
      fullestDisk,
      stat('Removed by retention', 'Studies and results, within the time shown.', [query(`sum(${grown('healthvision_retention_removed_studies_total', '', '$__range')})`, 'studies'), query(`sum(${grown('healthvision_retention_removed_results_total', '', '$__range')})`, 'results')], { decimals: 0 }),
    ],
    [
      lines('Instances', 'Per second, by what became of them; what is refused is named by the code of its error.', query(`sum by (outcome) (rate(healthvision_ingest_instances_total{#N}[${RATE}]))`, '{{outcome}}'), { unit: 'suffix:/s', stacked: true }),
      lines('Bytes', 'Stored per second.', query(`sum(rate(healthvision_ingest_bytes_total{#N}[${RATE}]))`, 'stored'), { unit: 'Bps' }),
    ],
    [
      lines('How long uploads take', 'p95 by route; it depends on their size and on the line of the sender.', query(`histogram_quantile(0.95, sum by (route, le) (rate(healthvision_http_request_duration_seconds_bucket{method=~"POST|PATCH", route=~"/dicom-web/studies.*|/api/v1/images|/api/v1/uploads.*", #N}[${RATE}])))`, '{{route}}'), { unit: 's' }),
      studiesCompleted,
    ],
    [
      lines('DIMSE associations', 'Requested in the last hour, by outcome; others than "accepted" come from callers that are not known, or not allowed.', query(`sum by (outcome) (${grown('healthvision_dimse_associations_total', '', '1h')})`, '{{outcome}}')),
      lines('DIMSE requests', 'Of the last hour, by operation and status; 0x0000 is success.', query(`sum by (operation, status) (${grown('healthvision_dimse_requests_total', '', '1h')})`, '{{operation}} {{status}}')),
    ],
    [
      lines('Disk', 'How full the file systems are that hold images, or what is on its way to S3. Alert above 80 %.', query('max by (job) (healthvision:storage_used:ratio{#N})', '{{job}}'), { unit: 'percentunit', max: 1, thresholds: badAbove(0.8) }),
      lines('Queues behind ingest', 'Jobs that wait or run.', query('sum by (queue) (healthvision:queue_jobs:max{queue=~"settle|plan|store-uploads|sweep", state=~"waiting|active", #N})', '{{queue}}')),
    ],
  ],
};
