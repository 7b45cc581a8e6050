import { Global, Module } from '@nestjs/common';
import { AuditKeysStore } from './audit-keys.store.js';
import { CryptoModule } from './crypto.module.js';
import { KeyRotationService } from './key-rotation.service.js';
import { KeyVault } from './key-vault.js';
import { KeyVaultStore } from './key-vault.store.js';
import { ReceiptSigner } from './receipt-signer.js';

/** The keys of institutions and studies, and those that sign for the installation. */
@Global()
@Module({ imports: [CryptoModule], providers: [KeyVaultStore, KeyVault, KeyRotationService, AuditKeysStore, ReceiptSigner], exports: [KeyVault, KeyRotationService, ReceiptSigner] })
export class VaultModule {}
