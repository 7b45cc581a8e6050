import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../../../platform/config.js';
import { AllowedHosts } from '../../../platform/http/public-address.js';
import { safeFetch } from '../../../platform/http/safe-fetch.js';
import { readJsonDocument } from '../json-document.js';

/** Reads what institutions name by URL: nothing inside of our own network, unless the installation allows it. */
@Injectable()
export class ClientDocuments {
  private readonly allowed: AllowedHosts;

  constructor(@Inject(CONFIG) config: Config) {
    this.allowed = new AllowedHosts(config.ALLOWED_PRIVATE_HOSTS);
  }

  /** @throws Error when the document cannot or may not be read */
  async json(url: string): Promise<unknown> {
    return readJsonDocument(url, (target, { headers }) => safeFetch(target, { allowed: this.allowed, headers }));
  }
}
