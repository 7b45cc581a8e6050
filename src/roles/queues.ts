/** The queues of the installation, for processes that look at them without loading what works them off. */
export const QUEUES: readonly string[] = [
  'send-mail',
  'settle', 'sweep', 'retention', 'store-uploads', 'expire-uploads', 'forget-uploads',
  'purge-results', 'deliver-results', 'signed-objects', 'compare-results', 'overdue-deliveries', 'result-retention',
  'plan', 'run', 'check-model', 'recover', 'forget-study', 'forget-result',
  'fan-out', 'notification-mails', 'climb-escalations', 'forget-notifications',
  'plan-webhooks', 'deliver-webhooks', 'wake-webhooks', 'webhook-upkeep', 'forget-webhook-deliveries', 'mail-webhook-disabled',
  'reconcile', 'orphan-blobs',
];
