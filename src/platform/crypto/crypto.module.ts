import { Module } from '@nestjs/common';
import { MasterKey } from './master-key.js';

/** What encrypts. Import it where something is sealed. */
@Module({ providers: [MasterKey], exports: [MasterKey] })
export class CryptoModule {}
