import { Body, Controller, Delete, Get, Param, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { toString as qrCode } from 'qrcode';
import { z } from 'zod';
import { Authenticated, BeforeSecondFactor, CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { languageOf } from '../../../platform/http/problem.js';
import { NOT_STORED } from '../oauth-error.js';
import { requirePerson } from '../person.js';
import { SecondFactorService } from './second-factor.service.js';

const secondFactorSchema = z
  .object({
    confirmedAt: z.iso.datetime().nullable().meta({ description: 'Since when it is asked for; null when there is none' }),
    recoveryCodesLeft: z.number().int(),
  })
  .meta({ id: 'SecondFactor' });

const secretSchema = z
  .object({
    secret: z.string().meta({ description: 'Base32; shown this once' }),
    uri: z.string().meta({ description: 'What authenticator apps read' }),
    qrCode: z.string().meta({ description: 'The same as a picture: SVG in a data URL' }),
  })
  .meta({ id: 'SecondFactorSecret' });

const recoveryCodesSchema = z.object({ recoveryCodes: z.array(z.string()).meta({ description: 'Each signs in once instead of a code; shown this once' }) }).meta({ id: 'RecoveryCodes' });

const code = z.string().min(6).max(40).meta({ example: '123456', description: 'Of the authenticator app, or a recovery code' });
const codeBody = z.strictObject({ code }).meta({ id: 'SecondFactorCode', example: { code: '123456' } });

const recoveryCodesExample = { recoveryCodes: ['7k2m-9xqd-4t0v-hw3b', 'c8ne-15yr-jg6z-s2pa'] };
const secretExample = { secret: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ', uri: 'otpauth://totp/HealthVision:grace%40hospital.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=HealthVision', qrCode: 'data:image/svg+xml;base64,PHN2Zw…' };
const NO_STORE = { 'Cache-Control': 'no-store' };

/** A code of an authenticator app beside the password. Only people have one: keys and systems are not asked. */
@ApiTags('sign-in')
@Controller('api/v1/users')
export class SecondFactorController {
  constructor(private readonly service: SecondFactorService) {}

  @Get('me/second-factor')
  @Authenticated()
  @BeforeSecondFactor()
  @Operation({ id: 'getSecondFactor', summary: 'One’s own second factor', answers: { 200: { description: 'Whether there is one', schema: secondFactorSchema, example: { confirmedAt: '2026-11-21T10:00:00.000Z', recoveryCodesLeft: 10 } } }, problems: ['user-not-found'] })
  async get(@CurrentPrincipal() principal: Principal): Promise<z.infer<typeof secondFactorSchema>> {
    const { confirmedAt, recoveryCodesLeft } = await this.service.of(requirePerson(principal));
    return { confirmedAt: confirmedAt?.toISOString() ?? null, recoveryCodesLeft };
  }

  @Post('me/second-factor')
  @Authenticated()
  @BeforeSecondFactor()
  @Operation({
    id: 'startSecondFactor',
    summary: 'Begin to set up a second factor',
    description: 'Gives a secret for an authenticator app. It is in force once it is confirmed with a code; until then a new one replaces it.',
    answers: { 201: { description: 'The secret', schema: secretSchema, example: secretExample, headers: NO_STORE } },
    problems: ['user-not-found', 'conflict'],
  })
  async start(@CurrentPrincipal() principal: Principal, @Res({ passthrough: true }) reply: FastifyReply): Promise<z.infer<typeof secretSchema>> {
    const { secret, uri } = await this.service.start(requirePerson(principal));
    void reply.headers(NOT_STORED);
    const picture = await qrCode(uri, { type: 'svg', errorCorrectionLevel: 'M', margin: 2 });
    return { secret, uri, qrCode: `data:image/svg+xml;base64,${Buffer.from(picture).toString('base64')}` };
  }

  @Post('me/second-factor/confirm')
  @Authenticated()
  @BeforeSecondFactor()
  @Operation({
    id: 'confirmSecondFactor',
    summary: 'Put the second factor in force',
    description: 'From then on every sign-in asks for a code. Other sign-ins of the person end.',
    answers: { 200: { description: 'In force', schema: recoveryCodesSchema, example: recoveryCodesExample, headers: NO_STORE } },
    problems: ['invalid-body', 'user-not-found', 'conflict', 'second-factor-invalid'],
  })
  async confirm(@CurrentPrincipal() principal: Principal, @Body({ schema: codeBody }) body: z.infer<typeof codeBody>, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<z.infer<typeof recoveryCodesSchema>> {
    const recoveryCodes = await this.service.confirm(requirePerson(principal), body.code, languageOf(request.headers['accept-language']));
    void reply.headers(NOT_STORED);
    return { recoveryCodes };
  }

  @Delete('me/second-factor')
  @Authenticated()
  @BeforeSecondFactor()
  @Operation({
    id: 'removeSecondFactor',
    summary: 'Remove one’s own second factor',
    description: 'Shows a code, or a recovery code, once more: the password alone is what the second factor protects against. A wrong one counts as a failed sign-in. Other sign-ins of the person end. Who has lost app and codes asks an administrator.',
    answers: { 204: { description: 'Removed' } },
    problems: ['invalid-body', 'user-not-found', 'conflict', 'second-factor-invalid', 'too-many-requests'],
  })
  async remove(@CurrentPrincipal() principal: Principal, @Body({ schema: codeBody }) body: z.infer<typeof codeBody>, @Req() request: FastifyRequest): Promise<void> {
    await this.service.remove(requirePerson(principal), body.code, languageOf(request.headers['accept-language']));
  }

  @Post('me/second-factor/recovery-codes')
  @Authenticated()
  @BeforeSecondFactor()
  @Operation({
    id: 'renewRecoveryCodes',
    summary: 'Get new recovery codes',
    description: 'The old ones are void. A wrong code counts as a failed sign-in.',
    answers: { 200: { description: 'The new set', schema: recoveryCodesSchema, example: recoveryCodesExample, headers: NO_STORE } },
    problems: ['invalid-body', 'user-not-found', 'conflict', 'second-factor-invalid', 'too-many-requests'],
  })
  async renew(@CurrentPrincipal() principal: Principal, @Body({ schema: codeBody }) body: z.infer<typeof codeBody>, @Res({ passthrough: true }) reply: FastifyReply): Promise<z.infer<typeof recoveryCodesSchema>> {
    const recoveryCodes = await this.service.renewRecoveryCodes(requirePerson(principal), body.code);
    void reply.headers(NOT_STORED);
    return { recoveryCodes };
  }

  @Delete(':id/second-factor')
  @RequirePermission('users:write')
  @Operation({
    id: 'resetSecondFactor',
    summary: 'Remove the second factor of somebody who has lost it',
    description: 'Ends all of their sign-ins and tells them by e-mail.',
    answers: { 204: { description: 'Removed' } },
    problems: ['user-not-found', 'conflict'],
  })
  async reset(@CurrentPrincipal() principal: Principal, @Param('id', { schema: z.uuid() }) id: string, @Req() request: FastifyRequest): Promise<void> {
    await this.service.reset(principal, id, languageOf(request.headers['accept-language']));
  }
}
