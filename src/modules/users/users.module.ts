import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { Authenticator } from '../../platform/http/access.js';
import { IdempotencyModule } from '../../platform/http/idempotency.module.js';
import { CryptoModule } from '../../platform/crypto/crypto.module.js';
import { LimitsModule } from '../../platform/limits/limits.module.js';
import { AccessGuard } from './access.guard.js';
import { AccessTokens } from './access-token.js';
import { AccessTokenStrategy } from './access-token.strategy.js';
import { AccountsStore } from './accounts.store.js';
import { ApiKeysController } from './api-keys.controller.js';
import { ApiKeysStore } from './api-keys.store.js';
import { AccessReportController } from './audit/access-report.controller.js';
import { AuditEventsController } from './audit/audit-events.controller.js';
import { AuditLogStore } from './audit/audit-log.store.js';
import { BreakGlassController } from './break-glass/break-glass.controller.js';
import { BreakGlassService } from './break-glass/break-glass.service.js';
import { BreakGlassStore } from './break-glass/break-glass.store.js';
import { ClientAuthenticationService } from './clients/client-authentication.service.js';
import { ClientDocuments } from './clients/client-documents.js';
import { ClientPrincipals } from './clients/client-principals.js';
import { ClientTokenService } from './clients/client-token.service.js';
import { OAuthClientsController } from './clients/oauth-clients.controller.js';
import { OAuthClientsService } from './clients/oauth-clients.service.js';
import { OAuthClientsStore } from './clients/oauth-clients.store.js';
import { SmartConfigurationController } from './clients/smart-configuration.controller.js';
import { CredentialChanges } from './credential-changes.js';
import { Crossings } from './crossings.js';
import { DiscoveryController } from './discovery.controller.js';
import { ExternalPrincipals } from './external/external-principals.js';
import { ExternalTokens } from './external/external-tokens.js';
import { ExternalUsersStore } from './external/external-users.store.js';
import { InstitutionStatesStore } from './institution-states.store.js';
import { InstitutionsController } from './institutions.controller.js';
import { InstitutionsService } from './institutions.service.js';
import { UserLinksController } from './links/user-links.controller.js';
import { UserLinksService } from './links/user-links.service.js';
import { UserLinksStore } from './links/user-links.store.js';
import { KeyBounds } from './key-bounds.js';
import { NewUsersService } from './new-users.service.js';
import { OAuthController } from './oauth.controller.js';
import { PasswordChangeService } from './passwords/password-change.service.js';
import { PasswordController } from './passwords/password.controller.js';
import { StoredPersonProofs } from './person-proofs.service.js';
import { PrincipalsService } from './principals.service.js';
import { RefreshTokensStore } from './refresh-tokens.store.js';
import { CodeCheckService } from './second-factor/code-check.service.js';
import { SecondFactorController } from './second-factor/second-factor.controller.js';
import { SecondFactorService } from './second-factor/second-factor.service.js';
import { SecondFactorStore } from './second-factor/second-factor.store.js';
import { PageCookies } from './sessions/page-cookies.js';
import { SessionController } from './sessions/session.controller.js';
import { SessionsController } from './sessions/sessions.controller.js';
import { SessionsService } from './sessions/sessions.service.js';
import { SessionsStore } from './sessions/sessions.store.js';
import { SignInPlacesStore } from './sessions/sign-in-places.store.js';
import { SignedInStore } from './sessions/signed-in.store.js';
import { SignInService } from './sign-in.service.js';
import { SigningKeysModule } from './signing-keys.module.js';
import { TokenService } from './token.service.js';
import { UsersCoreModule } from './users-core.module.js';
import { PersonProofs } from './users.contract.js';
import { UsersController } from './users.controller.js';
import { UsersService } from './users.service.js';

/** Institutions, people, tokens and keys; and the guard in front of every route of the process. */
@Module({
  imports: [CryptoModule, UsersCoreModule, SigningKeysModule, IdempotencyModule, LimitsModule],
  controllers: [OAuthController, DiscoveryController, SmartConfigurationController, InstitutionsController, UsersController, ApiKeysController, OAuthClientsController, AuditEventsController, AccessReportController, BreakGlassController,
    SessionController, SessionsController, SecondFactorController, PasswordController, UserLinksController],
  providers: [
    AuditLogStore,
    ApiKeysStore, KeyBounds, RefreshTokensStore, InstitutionStatesStore, AccessTokens, AccessTokenStrategy,
    PrincipalsService, SignInService, TokenService, UsersService, NewUsersService, InstitutionsService,
    AccountsStore, CredentialChanges, PasswordChangeService, SessionsStore, SignInPlacesStore, SignedInStore, SessionsService, PageCookies,
    SecondFactorStore, CodeCheckService, SecondFactorService, UserLinksStore, UserLinksService,
    OAuthClientsStore, OAuthClientsService, ClientPrincipals, ClientDocuments, ClientAuthenticationService, ClientTokenService,
    ExternalTokens, ExternalUsersStore, ExternalPrincipals, Crossings,
    BreakGlassStore, BreakGlassService,
    AccessGuard,
    { provide: APP_GUARD, useExisting: AccessGuard },
    { provide: Authenticator, useExisting: AccessGuard },
    { provide: PersonProofs, useClass: StoredPersonProofs },
  ],
  exports: [Authenticator, PersonProofs],
})
export class UsersModule {}
