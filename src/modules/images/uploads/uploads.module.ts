import { Module } from '@nestjs/common';
import { ImagesCoreModule } from '../images-core.module.js';
import { ResumableUploads } from './resumable-uploads.service.js';
import { UploadsStore } from './uploads.store.js';

/** What both roles need of resumable uploads. */
@Module({ imports: [ImagesCoreModule], providers: [UploadsStore, ResumableUploads], exports: [UploadsStore, ResumableUploads] })
export class UploadsModule {}
