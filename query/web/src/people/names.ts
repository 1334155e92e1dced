/* What a member is called here: the name the server gives, or the email opened in this browser. */
import { openedEmails } from './sealed';

export function nameOf(member: { member_id: string; display_name: string; email_enc?: unknown }): string {
	return (member.email_enc !== undefined && openedEmails.value.get(member.member_id)) || member.display_name;
}
