import { defineConfig } from 'prisma/config';

// Only `prisma generate` reads this; migrations are applied by src/platform/database/migrations.ts.
export default defineConfig({ schema: 'prisma/schema.prisma' });
