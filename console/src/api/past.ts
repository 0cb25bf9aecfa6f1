import { ApiError, ask, client, type Schemas } from "./client";
import { lastLook } from "./live";

/** servedAt returns what served a name at a time. */
export async function servedAt(name: string, at: string): Promise<Schemas["ServedAt"]> {
  const answer = await ask(client.GET("/api/v1/routes/{name}", { params: { path: { name }, query: { at } } }));
  if (!("gateway" in answer)) throw new ApiError(200, "the answer does not say what served");
  return answer;
}

/**
 * servedNow returns what serves a name, and the change that made it so. The gateway refuses times that its clock has not reached. So
 * if the clock of this browser is ahead, the last time that the gateway has told follows, since nothing has changed after it.
 */
export async function servedNow(name: string): Promise<Schemas["ServedAt"]> {
  try {
    return await servedAt(name, new Date().toISOString());
  } catch (error) {
    if (!lastLook.value || !(error instanceof ApiError) || error.status !== 400) throw error;
    return servedAt(name, lastLook.value);
  }
}
