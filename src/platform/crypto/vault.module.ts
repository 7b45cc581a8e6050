import { Global, Module } from '@nestjs/common';
import { AuditKeysModule } from '../audit/audit-keys.module.js';
import { CryptoModule } from './crypto.module.js';
import { KeyRotationService } from './key-rotation.service.js';
import { KeyVault } from './key-vault.js';
import { KeyVaultStore } from './key-vault.store.js';

/** The keys of institutions and studies. */
@Global()
@Module({ imports: [CryptoModule, AuditKeysModule], providers: [KeyVaultStore, KeyVault, KeyRotationService], exports: [KeyVault, KeyRotationService] })
export class VaultModule {}
