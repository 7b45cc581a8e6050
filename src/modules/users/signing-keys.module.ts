import { Module } from '@nestjs/common';
import { CryptoModule } from '../../platform/crypto/crypto.module.js';
import { SigningKeysService } from './signing-keys.service.js';
import { SigningKeysStore } from './signing-keys.store.js';

/** The keys that sign access tokens, without HTTP: what the command line needs, too. */
@Module({ imports: [CryptoModule], providers: [SigningKeysStore, SigningKeysService], exports: [SigningKeysService] })
export class SigningKeysModule {}
