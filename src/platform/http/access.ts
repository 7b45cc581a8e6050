import { createParamDecorator, SetMetadata, type ExecutionContext } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../kernel/errors.js';

/** Who makes a request. Set by the authentication guard of the `users` module. */
export interface Principal {
  /** Of the user, or of the API key. */
  id: string;
  kind: 'user' | 'api-key';
  /** The person, or the key's owner. */
  userId: string;
  institutionId: string;
  role: string;
  permissions: ReadonlySet<string>;
}

export type AuthenticatedRequest = FastifyRequest & { principal?: Principal };

export const PUBLIC_KEY = 'healthvision:public';
export const PERMISSION_KEY = 'healthvision:permission';

/** The route answers without authentication: only what API.md lists under "Unauthenticated". */
export const Public = (): ClassDecorator & MethodDecorator => SetMetadata(PUBLIC_KEY, true);

/** The permission that a route asks for. A route with neither this nor `Public` or `Authenticated` refuses everybody. */
export const RequirePermission = (permission: string): ClassDecorator & MethodDecorator => SetMetadata(PERMISSION_KEY, permission);

export const AUTHENTICATED_KEY = 'healthvision:authenticated';

/** Any signed-in principal may call the route, whatever its permissions: only what concerns the caller alone. */
export const Authenticated = (): ClassDecorator & MethodDecorator => SetMetadata(AUTHENTICATED_KEY, true);

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
