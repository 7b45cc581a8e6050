import { PrismaPg } from '@prisma/adapter-pg';
import { PrismaClient } from '../../src/generated/prisma/client.js';

/** Prisma as the owner of the tables, whom no wall stops: for what a test arranges or looks up behind the product's back. */
export function ownerOf({ url }: { url: string }): PrismaClient {
  return new PrismaClient({ adapter: new PrismaPg({ connectionString: url, max: 2 }) });
}
