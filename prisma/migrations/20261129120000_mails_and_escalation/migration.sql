-- CreateTable
CREATE TABLE "notification_states" (
    "notification_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "read_at" TIMESTAMPTZ(3),
    "called_at" TIMESTAMPTZ(3),

    CONSTRAINT "notification_states_pkey" PRIMARY KEY ("notification_id","user_id")
);

-- CreateTable
CREATE TABLE "notification_read_marks" (
    "institution_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "up_to" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "notification_read_marks_pkey" PRIMARY KEY ("institution_id","user_id")
);

-- CreateTable
CREATE TABLE "notification_preferences" (
    "user_id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "settings" JSONB NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "notification_preferences_pkey" PRIMARY KEY ("user_id")
);

-- CreateTable
CREATE TABLE "notification_mails" (
    "id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "notification_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "step" INTEGER NOT NULL DEFAULT 0,
    "digest" BOOLEAN NOT NULL DEFAULT false,
    "state" TEXT NOT NULL DEFAULT 'waiting',
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "next_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "claim_id" UUID,
    "failure" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "sent_at" TIMESTAMPTZ(3),

    CONSTRAINT "notification_mails_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "escalation_chains" (
    "institution_id" UUID NOT NULL,
    "steps" JSONB NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "escalation_chains_pkey" PRIMARY KEY ("institution_id")
);

-- CreateTable
CREATE TABLE "escalations" (
    "notification_id" UUID NOT NULL,
    "institution_id" UUID NOT NULL,
    "steps" JSONB NOT NULL,
    "state" TEXT NOT NULL DEFAULT 'climbing',
    "next_step" INTEGER NOT NULL DEFAULT 0,
    "next_at" TIMESTAMPTZ(3),
    "claim_id" UUID,
    "started_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "escalations_pkey" PRIMARY KEY ("notification_id")
);

-- CreateTable
CREATE TABLE "escalation_steps" (
    "notification_id" UUID NOT NULL,
    "step" INTEGER NOT NULL,
    "institution_id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "told" JSONB NOT NULL,

    CONSTRAINT "escalation_steps_pkey" PRIMARY KEY ("notification_id","step")
);

-- CreateIndex
CREATE INDEX "notifications_institution_id_critical_acknowledged_at_idx" ON "notifications"("institution_id", "critical", "acknowledged_at");

-- CreateIndex
CREATE INDEX "notification_states_user_id_called_at_idx" ON "notification_states"("user_id", "called_at");

-- CreateIndex
CREATE INDEX "notification_preferences_institution_id_idx" ON "notification_preferences"("institution_id");

-- CreateIndex
CREATE INDEX "notification_mails_state_next_at_idx" ON "notification_mails"("state", "next_at");

-- CreateIndex
CREATE INDEX "notification_mails_user_id_state_idx" ON "notification_mails"("user_id", "state");

-- CreateIndex
CREATE UNIQUE INDEX "notification_mails_notification_id_user_id_step_key" ON "notification_mails"("notification_id", "user_id", "step");

-- CreateIndex
CREATE INDEX "escalations_institution_id_started_at_idx" ON "escalations"("institution_id", "started_at");

-- CreateIndex
CREATE INDEX "escalations_state_next_at_idx" ON "escalations"("state", "next_at");

-- AddForeignKey
ALTER TABLE "notification_states" ADD CONSTRAINT "notification_states_notification_id_fkey" FOREIGN KEY ("notification_id") REFERENCES "notifications"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "notification_preferences" ADD CONSTRAINT "notification_preferences_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "notification_mails" ADD CONSTRAINT "notification_mails_notification_id_fkey" FOREIGN KEY ("notification_id") REFERENCES "notifications"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "escalations" ADD CONSTRAINT "escalations_notification_id_fkey" FOREIGN KEY ("notification_id") REFERENCES "notifications"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "escalation_steps" ADD CONSTRAINT "escalation_steps_notification_id_fkey" FOREIGN KEY ("notification_id") REFERENCES "escalations"("notification_id") ON DELETE CASCADE ON UPDATE CASCADE;
