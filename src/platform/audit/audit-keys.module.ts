import { Module } from '@nestjs/common';
import { CryptoModule } from '../crypto/crypto.module.js';
import { AuditKeys } from './audit-keys.js';
import { AuditKeysStore } from './audit-keys.store.js';
import { ReceiptSigner } from './receipt-signer.js';

/** The keys and what signs receipts alone, for what seals them anew or signs with them. */
@Module({ imports: [CryptoModule], providers: [AuditKeysStore, AuditKeys, ReceiptSigner], exports: [AuditKeys, ReceiptSigner] })
export class AuditKeysModule {}
