/** The queues of the installation, for processes that look at them without loading what works them off. */
export const QUEUES: readonly string[] = [
  'send-mail',
  'settle', 'sweep', 'retention', 'store-uploads', 'expire-uploads', 'forget-uploads',
  'purge-results', 'deliver-results', 'signed-objects', 'overdue-deliveries', 'result-retention',
  'plan', 'run', 'check-model', 'recover', 'forget-study', 'forget-result',
  'fan-out', 'forget-notifications',
  'reconcile', 'orphan-blobs',
];
