import { applyDecorators, createParamDecorator, SetMetadata, type ExecutionContext } from '@nestjs/common';
import { ApiExtension } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../kernel/errors.js';

/** Who makes a request. Set by the authentication guard of the `users` module. */
export interface Principal {
  /** Of the user, the API key or the OAuth client. */
  id: string;
  kind: 'user' | 'api-key' | 'client';
  /** The person, or the key's owner; a client's own id. */
  userId: string;
  /** Where the request works: the principal's own, unless a platform administrator has entered another. */
  institutionId: string;
  role: string;
  permissions: ReadonlySet<string>;
  /** Of a system's token, as they were asked for: SMART scopes name FHIR types, which is narrower than a permission. */
  scopes?: readonly string[];
  /** Set while emergency access gives a person more than they have anyway: which, why, and those of `permissions` that come from it. */
  breakGlass?: { id: string; reason: string; permissions: ReadonlySet<string> };
  /** The sign-in that the request belongs to. */
  sessionId?: string;
  /** Their institution asks for a second factor and they have none yet: nothing answers them but what sets one up. */
  lacksSecondFactor?: true;
  /** Set when a platform administrator works in an institution that is not theirs: their own one, and why. */
  crossing?: { fromInstitutionId: string; reason: string };
}

export type AuthenticatedRequest = FastifyRequest & {
  principal?: Principal;
  /** Of an event stream: whether its caller may still see what it began with. Never throws. */
  mayGoOn?: () => Promise<boolean>;
};

/** What a line of the log says of its request, and of who makes it: an id, by which only those find a person who may see the users. */
export function logFieldsOf(request: AuthenticatedRequest): { requestId: string; userId: string | undefined } {
  return { requestId: request.id, userId: request.principal?.userId };
}

export const PUBLIC_KEY = 'healthvision:public';
export const PERMISSION_KEY = 'healthvision:permission';

/** The route answers without authentication: only what API.md lists under "Unauthenticated". */
export const Public = (): ClassDecorator & MethodDecorator => declared(PUBLIC_KEY, true, 'public');

/** The permission that a route asks for. A route with neither this nor `Public` or `Authenticated` refuses everybody. */
export const RequirePermission = (permission: string): ClassDecorator & MethodDecorator => declared(PERMISSION_KEY, permission, permission);

export const AUTHENTICATED_KEY = 'healthvision:authenticated';

/** Any signed-in principal may call the route, whatever its permissions: only what concerns the caller alone. */
export const Authenticated = (): ClassDecorator & MethodDecorator => declared(AUTHENTICATED_KEY, true, 'authenticated');

export const BEFORE_SECOND_FACTOR_KEY = 'healthvision:before-second-factor';

/** The route answers people, too, who have yet to set up the second factor that their institution asks for. */
export const BeforeSecondFactor = (): ClassDecorator & MethodDecorator => SetMetadata(BEFORE_SECOND_FACTOR_KEY, true);

export const ENTERS_KEY = 'healthvision:enters';

/** The route works on the institution that this parameter of its path names: for a platform administrator who is at home in another, a call enters it, as by `X-Institution-Id`. */
export const Enters = (parameter: string): MethodDecorator => SetMetadata(ENTERS_KEY, parameter);

/** Where a person is at home, wherever a crossing has taken them. */
export function homeOf({ institutionId, crossing }: Pick<Principal, 'institutionId' | 'crossing'>): { institutionId: string } {
  return { institutionId: crossing?.fromInstitutionId ?? institutionId };
}

/** For the guard, and as `x-access` for readers of the API document: a permission, `authenticated` or `public`. */
function declared(key: string, value: string | true, access: string): ClassDecorator & MethodDecorator {
  return applyDecorators(SetMetadata(key, value), ApiExtension('x-access', access));
}

export const CurrentPrincipal = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { principal } = context.switchToHttp().getRequest<AuthenticatedRequest>();
  if (!principal) throw new AppError('unauthenticated');
  return principal;
});

/** Says who makes a request; for what answers outside the controllers, such as pages. The `users` module implements it. */
export abstract class Authenticator {
  /** @throws AppError `unauthenticated` */
  abstract authenticate(request: AuthenticatedRequest, reply: FastifyReply): Promise<Principal>;
}
