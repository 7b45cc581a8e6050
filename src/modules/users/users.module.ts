import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { CryptoModule } from '../../platform/crypto/crypto.module.js';
import { Authenticator } from '../../platform/http/access.js';
import { IdempotencyModule } from '../../platform/http/idempotency.module.js';
import { AccessGuard } from './access.guard.js';
import { AccessTokens } from './access-token.js';
import { AccessTokenStrategy } from './access-token.strategy.js';
import { ApiKeysController } from './api-keys.controller.js';
import { ApiKeysStore } from './api-keys.store.js';
import { BreakGlassController } from './break-glass/break-glass.controller.js';
import { BreakGlassService } from './break-glass/break-glass.service.js';
import { BreakGlassStore } from './break-glass/break-glass.store.js';
import { DiscoveryController } from './discovery.controller.js';
import { InstitutionsController } from './institutions.controller.js';
import { OAuthController } from './oauth.controller.js';
import { PrincipalsService } from './principals.service.js';
import { RefreshTokensStore } from './refresh-tokens.store.js';
import { SignInService } from './sign-in.service.js';
import { SigningKeysService } from './signing-keys.service.js';
import { SigningKeysStore } from './signing-keys.store.js';
import { TokenService } from './token.service.js';
import { UsersCoreModule } from './users-core.module.js';
import { UsersController } from './users.controller.js';
import { UsersService } from './users.service.js';

/** Institutions, people, tokens and keys; and the guard in front of every route of the process. */
@Module({
  imports: [UsersCoreModule, CryptoModule, IdempotencyModule],
  controllers: [OAuthController, DiscoveryController, InstitutionsController, UsersController, ApiKeysController, BreakGlassController],
  providers: [
    ApiKeysStore, RefreshTokensStore, SigningKeysStore, SigningKeysService, AccessTokens, AccessTokenStrategy,
    PrincipalsService, SignInService, TokenService, UsersService,
    BreakGlassStore, BreakGlassService,
    AccessGuard,
    { provide: APP_GUARD, useExisting: AccessGuard },
    { provide: Authenticator, useExisting: AccessGuard },
  ],
  exports: [Authenticator],
})
export class UsersModule {}
