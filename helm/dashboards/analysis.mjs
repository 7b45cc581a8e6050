import { completion, RATE, runsEnded } from './figures.mjs';
import { badAbove, badBelow, bars, grown, lines, query, stat } from './panels.mjs';

const p95 = (metric, labels) => `histogram_quantile(0.95, sum by (${labels}, le) (rate(${metric}_bucket{#N}[${RATE}])))`;

export default {
  name: 'analysis', title: 'analysis and GPU', description: 'What is computed: how long it waits and takes, on what, and what becomes of it.',
  rows: [
    [
      stat('Computed now', 'Analyses, over all workers.', query('sum(healthvision_analysis_active_runs{#N})'), { decimals: 0 }),
      completion,
      stat('Jobs given up', 'That wait for somebody, over all queues. Alert above 0.', query('sum(max by (namespace, queue) (healthvision_poison_jobs{#N}))'), { decimals: 0, thresholds: badAbove(1) }),
      stat('Networks loaded', 'That workers keep in memory, by execution provider.', query('sum by (provider) (healthvision_models_resident{#N})', '{{provider}}'), { decimals: 0 }),
      stat('Providers', 'Of the execution providers that workers are configured for, the share of workers that have it. Alert when one other than the processor is missing.', query('avg by (provider) (healthvision_execution_provider_available{#N})', '{{provider}}'), { unit: 'percentunit', decimals: 0, thresholds: badBelow(1) }),
      stat('Fullest GPU memory', 'Alert above 90 %.', query('max(healthvision:gpu_memory:ratio{#N})'), { unit: 'percentunit', decimals: 0, thresholds: badAbove(0.9), noValue: 'no GPU' }),
    ],
    [
      runsEnded,
      lines('Analyses that wait and run', 'Jobs of the queue "run", which wake workers: about as many as analyses wait. Alert when more than 100 wait.', query('sum by (state) (healthvision:queue_jobs:max{queue="run", state=~"waiting|active", #N})', '{{state}}'), { thresholds: badAbove(100) }),
    ],
    [
      lines('How long analyses wait', 'p95 by priority, from being asked for until a worker takes them.', query(p95('healthvision_analysis_wait_seconds', 'priority'), '{{priority}}'), { unit: 's' }),
      lines('How long analyses take', 'p95 of whole runs, from being taken to their end, by analysis and outcome.', query(p95('healthvision_run_duration_seconds', 'analysis, outcome'), '{{analysis}} {{outcome}}'), { unit: 's' }),
    ],
    [
      lines('Where the time goes', 'Seconds of work in each second, over all workers, by stage; networks are part of "infer".', query(`sum by (stage) (rate(healthvision_analysis_stage_duration_seconds_sum{stage!="network", #N}[${RATE}]))`, '{{stage}}'), { unit: 's', stacked: true }),
      lines('X-rays computed together', 'Mean size of the batches that went through a network.', query(`sum(rate(healthvision_analysis_batch_size_sum{#N}[${RATE}])) / sum(rate(healthvision_analysis_batch_size_count{#N}[${RATE}]))`, 'images'), { decimals: 1 }),
    ],
    [
      lines('Loading networks', 'Mean time to load one in the last hour, by model and provider.', query(`sum by (model, provider) (${grown('healthvision_model_load_seconds_sum', '', '1h')}) / sum by (model, provider) (${grown('healthvision_model_load_seconds_count', '', '1h')})`, '{{model}} {{provider}}'), { unit: 's' }),
      bars('Memory of models', 'The most that an analysis with each took, as far as it is known.', query('max by (model) (healthvision_model_memory_bytes{#N})', '{{model}}'), { unit: 'bytes' }),
    ],
    [
      lines('Fallbacks', 'Networks that another provider took than the one that was wanted, in the last hour. Each is an alert.', query(`sum by (wanted, used) (${grown('healthvision_provider_fallbacks_total', '', '1h')})`, '{{wanted}} → {{used}}')),
      lines('Withheld results', 'That the gate refused in the last hour, by the check that found fault. Each is an alert.', [query(`sum by (check) (${grown('healthvision_results_withheld_total', '', '1h')})`, 'result: {{check}}'), query(`sum by (check) (${grown('healthvision_signed_objects_refused_total', '', '1h')})`, 'signed: {{check}}')]),
    ],
    'GPU',
    [
      lines('GPU utilisation', 'Of each GPU of each worker.', query('healthvision_gpu_utilization_ratio{#N}', '{{instance}} GPU {{gpu}}'), { unit: 'percentunit', max: 1 }),
      lines('GPU memory', 'Of each GPU of each worker. Alert above 90 %.', query('healthvision:gpu_memory:ratio{#N}', '{{instance}} GPU {{gpu}}'), { unit: 'percentunit', max: 1, thresholds: badAbove(0.9) }),
    ],
  ],
};
