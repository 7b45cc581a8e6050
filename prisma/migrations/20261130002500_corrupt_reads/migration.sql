-- AlterTable
ALTER TABLE "analysis_runs" ADD COLUMN     "corrupt_reads" INTEGER NOT NULL DEFAULT 0;
