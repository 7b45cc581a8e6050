import { Module } from '@nestjs/common';
import { ImagingThreads } from './imaging-threads.service.js';

/** One pool of imaging threads for the whole process, whoever imports this. */
@Module({ providers: [ImagingThreads], exports: [ImagingThreads] })
export class ThreadsModule {}
