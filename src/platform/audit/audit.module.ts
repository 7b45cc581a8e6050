import { Global, Module } from '@nestjs/common';
import { CryptoModule } from '../crypto/crypto.module.js';
import { AuditChainStore } from './audit-chain.store.js';
import { AuditEventsStore } from './audit-events.store.js';
import { AuditKeysModule } from './audit-keys.module.js';
import { AuditLag } from './audit-lag.js';
import { AuditSealer } from './audit-sealer.js';
import { AuditVerifier } from './audit-verifier.js';
import { AuditWriter } from './audit-writer.js';

/** What puts on record, chains and verifies. Every HTTP application has it. */
@Global()
@Module({
  imports: [CryptoModule, AuditKeysModule],
  providers: [AuditEventsStore, AuditChainStore, AuditWriter, AuditSealer, AuditVerifier, AuditLag],
  exports: [AuditKeysModule, AuditChainStore, AuditWriter, AuditSealer, AuditVerifier],
})
export class AuditModule {}
