-- AlterTable
ALTER TABLE "outbox" ADD COLUMN     "looked_at" TIMESTAMPTZ(3),
ADD COLUMN     "pending" TEXT[] DEFAULT ARRAY[]::TEXT[];

-- Events that somebody has yet to acknowledge: few of all, and looked through again and again.
CREATE INDEX "outbox_pending_idx" ON "outbox"("looked_at") WHERE "pending" <> '{}';
