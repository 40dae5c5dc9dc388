// The names of the settings of alerts, for whoever only names them, in the order of their list.

export const settingNames = [
  ...(["webhook", "webhook-header", "mail-to", "mail-from", "mail-by", "smtp-user"] as const),
  ...(["smtp-password", "quiet", "urgent", "delay", "clear", "repeat", "mute"] as const),
] as const;

export type SettingName = (typeof settingNames)[number];
