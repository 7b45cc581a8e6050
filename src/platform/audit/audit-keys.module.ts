import { Module } from '@nestjs/common';
import { CryptoModule } from '../crypto/crypto.module.js';
import { AuditKeys } from './audit-keys.js';
import { AuditKeysStore } from './audit-keys.store.js';

/** The keys alone, for what seals them anew or signs with them. */
@Module({ imports: [CryptoModule], providers: [AuditKeysStore, AuditKeys], exports: [AuditKeys] })
export class AuditKeysModule {}
