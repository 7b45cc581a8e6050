/** Where a notification leads a person who is shown it. */
export abstract class NotificationTargets {
  /**
   * @param permissions  of the person
   * @returns the study that it is about, null when it is about none; undefined when they are shown no such notification
   */
  abstract studyOf(institutionId: string, notificationId: string, permissions: ReadonlySet<string>): Promise<string | null | undefined>;
}
